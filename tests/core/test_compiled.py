"""Kept programs: how often XLA compiles, by JAX's own count, and that nothing stale is used."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from robust_saliency.core.compiled import compiled_once
from tests.compilations import compilations

X = np.random.default_rng(0).random((4, 5), np.float32)


@compiled_once
def climb(model, x, *, size=0.1):
  """A loop over a network's gradient, as an attack is."""
  if float(size) < 0:  # needs a number that is known
    raise ValueError(f"size must be >= 0, got {size}")
  gradient = jax.grad(lambda x: jnp.sum(model(x) ** 2))
  return jax.lax.fori_loop(0, 3, lambda i, x: x + size * gradient(x), x)


def by_hand(weights, x, size=0.1):
  for _ in range(3):
    x = x + size * 2 * (x @ weights) @ weights.T
  return x


def closure(weights):
  return lambda x: x @ weights


def module(weights):
  dense = nn.Dense(3, use_bias=False)
  return jax.tree_util.Partial(dense.apply, {"params": {"kernel": weights}})


def nnx_module(weights):
  model = nnx.Linear(5, 3, use_bias=False, rngs=nnx.Rngs(0))
  model.kernel[...] = weights
  return model


def jitted(weights):
  return jax.jit(lambda x: x @ weights)


def hosted(weights):
  return lambda x: x @ np.asarray(weights)


MODELS = [closure, module, nnx_module, hosted]


def weights_of(seed):
  return jax.random.normal(jax.random.key(seed), (5, 3))


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("model_of", MODELS)
def test_new_weights_of_one_network_give_their_own_answer_and_compile_nothing(model_of):
  first, second = weights_of(0), weights_of(1)
  np.testing.assert_allclose(climb(model_of(first), X), by_hand(first, X), rtol=1e-5)
  model = model_of(second)
  with compilations() as compiled:
    found = climb(model, X)
  np.testing.assert_allclose(found, by_hand(second, X), rtol=1e-5)
  assert not compiled


def test_a_network_that_is_changed_in_place_gives_its_new_answer_without_compiling():
  weights = {"kernel": weights_of(0)}
  model = nnx_module(weights_of(0))

  def read(x):
    return x @ weights["kernel"]

  for network in (read, model):
    climb(network, X)
  weights["kernel"] = weights_of(2)
  model.kernel[...] = weights_of(2)
  with compilations() as compiled:
    found = [climb(network, X) for network in (read, model)]
  for one in found:
    np.testing.assert_allclose(one, by_hand(weights_of(2), X), rtol=1e-5)
  assert not compiled


def test_a_jitted_network_is_compiled_once_and_never_taken_for_another():
  first, second = jitted(weights_of(0)), jitted(weights_of(1))
  climb(first, X)
  with compilations() as compiled:
    climb(first, X)
  assert not compiled
  np.testing.assert_allclose(climb(second, X), by_hand(weights_of(1), X), rtol=1e-5)


def test_another_number_or_shape_is_another_program():
  weights = weights_of(0)
  for size, x in ((0.1, X), (0.2, X), (0.2, X[:2]), (0.1, X[:2])):
    found = climb(closure(weights), x, size=size)
    np.testing.assert_allclose(found, by_hand(weights, x, size), rtol=1e-5)


def test_functions_that_differ_in_their_derivative_alone_are_told_apart():
  def with_gradient(factor):
    @jax.custom_vjp
    def double(x):
      return 2 * x

    double.defvjp(lambda x: (2 * x, None), lambda _, g: (factor * g,))
    return double

  for factor in (2.0, 3.0):
    found = climb(with_gradient(factor), X)
    x = X
    for _ in range(3):
      x = x + 0.1 * factor * 2 * (2 * x)
    np.testing.assert_allclose(found, x, rtol=1e-5)


def test_checks_of_values_are_made_at_every_call():
  climb(closure(weights_of(0)), X)
  for _ in range(2):
    with pytest.raises(ValueError, match="size must be >= 0, got -1"):
      climb(closure(weights_of(0)), X, size=-1)


def test_under_the_user_s_own_transformations_the_function_is_left_as_it_is():
  weights = weights_of(0)

  @compiled_once
  def total(model, x):
    return jnp.sum(jax.lax.fori_loop(0, 2, lambda i, x: jnp.tanh(model(x)) @ jnp.ones((3, 5)), x))

  value = total(closure(weights), X)
  np.testing.assert_allclose(
    jax.jit(lambda w, x: total(closure(w), x))(weights, X), value, rtol=1e-5
  )
  of_rows = jax.vmap(lambda x: total(closure(weights), x[None]))(X)
  np.testing.assert_allclose(jnp.sum(of_rows), value, rtol=1e-5)
  gradient = jax.grad(lambda w: total(closure(w), X))(weights)
  step = 1e-2 * jax.random.normal(jax.random.key(3), weights.shape)
  ahead, behind = (total(closure(weights + sign * step), X) for sign in (1, -1))
  np.testing.assert_allclose(jnp.sum(gradient * step), (ahead - behind) / 2, rtol=1e-2)


def test_a_network_in_python_is_called_at_every_call():
  calls = []

  def on_the_host(x):
    calls.append(1)
    return np.asarray(x) * 2

  apply = compiled_once(
    lambda model, x: model(x) + jax.lax.fori_loop(0, 2, lambda i, x: x + 1.0, x)
  )

  def network(x):
    return jax.pure_callback(on_the_host, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

  for _ in range(2):
    np.testing.assert_allclose(apply(network, X), 3 * X + 2, rtol=1e-6)
  assert len(calls) >= 2
