import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.attributions import with_relu_rule

Z = jnp.array([-2.0, -0.5, 0.0, 0.5, 2.0])

RELUS = {
  "jax.nn.relu": jax.nn.relu,
  "flax.linen.relu": nn.relu,
  "jnp.maximum(z, 0)": lambda z: jnp.maximum(z, 0),
  "jnp.maximum(0, z)": lambda z: jnp.maximum(0.0, z),
  "inside jit": jax.jit(lambda z: jax.nn.relu(z)),
  "inside jit inside jit": jax.jit(jax.jit(jax.nn.relu)),
  "inside checkpoint": jax.checkpoint(lambda z: jax.nn.relu(z)),
  "with a constant of its own": lambda z: jax.jit(lambda z: jax.nn.relu(z + 0 * Z))(z),
}


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("name", RELUS)
def test_every_form_of_relu_is_found(name):
  ruled = with_relu_rule(lambda z: 2 * RELUS[name](3 * z), lambda z, g: 100 * g + z)
  value, backward = jax.vjp(ruled, Z)
  np.testing.assert_allclose(value, 6 * jnp.maximum(Z, 0))
  [slope] = backward(jnp.ones(5))
  # g = 2 arrives at relu(z) with z = 3 Z; its rule; then the 3 before it.
  np.testing.assert_allclose(slope, 3 * (200 + 3 * Z))


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(
  "other", [jnp.tanh, jax.nn.softplus, nn.leaky_relu, nn.gelu, jax.nn.logsumexp]
)
def test_what_is_no_relu_keeps_its_derivative(other):
  def both(z):
    return other(z).sum() + jax.nn.relu(z).sum()

  ruled = with_relu_rule(both, lambda z, g: 0 * g)
  np.testing.assert_allclose(
    jax.grad(ruled)(Z), jax.grad(lambda z: other(z).sum())(Z), rtol=1e-6, atol=1e-7
  )


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  "name",
  ["digits", "noack", *(pytest.param(n, marks=pytest.mark.slow) for n in ("ross", "wide_resnet"))],
)
def test_with_relus_own_derivative_a_network_keeps_its_logits_and_gradient(name):
  fields = {"depth": 10, "width": 1} if name == "wide_resnet" else {}
  module = models.build(name, **fields)
  logits_fn = models.logits_fn(module, models.init(module, jax.random.key(0), (8, 8, 1)))
  ruled = with_relu_rule(logits_fn, lambda z, g: jnp.where(z > 0, g, 0))
  x = jax.random.uniform(jax.random.key(1), (2, 8, 8, 1))
  np.testing.assert_allclose(jax.jit(ruled)(x), jax.jit(logits_fn)(x), rtol=1e-5, atol=1e-6)
  slopes = (jax.jit(jax.grad(lambda x, f=f: f(x)[:, 0].sum()))(x) for f in (ruled, logits_fn))
  np.testing.assert_allclose(*slopes, rtol=1e-4, atol=1e-6)


def test_a_function_without_relus_is_refused():
  with pytest.raises(ValueError, match="logits_fn must have ReLUs"):
    with_relu_rule(jnp.tanh, lambda z, g: g)(Z)
  with pytest.raises(TypeError, match="logits_fn must be a function, got None"):
    with_relu_rule(None, lambda z, g: g)
  with pytest.raises(TypeError, match="rule must be a function, got 'guided'"):
    with_relu_rule(jax.nn.relu, "guided")


BFLOAT16 = {
  "before": lambda z: jnp.tanh(jax.nn.relu(z.astype(jnp.bfloat16)).astype(jnp.float32)),
  "after": lambda z: jax.nn.relu(z).astype(jnp.bfloat16).astype(jnp.float32) / 3,
  "between": lambda z: jnp.minimum(jnp.maximum(z, 0).astype(jnp.bfloat16), 1).astype(jnp.float32),
  "rounded": lambda z: jax.lax.reduce_precision(jax.nn.relu(z), 5, 2),
  "stopped": lambda z: jax.lax.stop_gradient(jax.nn.relu(z)) / 3,
}


@pytest.mark.parametrize("name", BFLOAT16)
def test_conversions_beside_a_relu_are_no_part_of_it(name):
  z = jax.random.normal(jax.random.key(0), (7,))
  ruled = with_relu_rule(BFLOAT16[name], lambda z, g: 2 * g * (z > 0))
  np.testing.assert_array_equal(ruled(z), BFLOAT16[name](z))
  slopes = (jax.grad(lambda z, f=f: f(z).sum())(z) for f in (ruled, BFLOAT16[name]))
  np.testing.assert_array_equal(next(slopes), 2 * next(slopes))


def test_a_network_of_mixed_precision_takes_a_rule():
  class Mixed(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.Conv(4, (3, 3), dtype=jnp.bfloat16)(x).astype(jnp.float32)
      x = nn.relu(nn.Conv(4, (3, 3), dtype=jnp.bfloat16)(nn.relu(x))).astype(jnp.float32)
      return nn.Dense(3)(x.mean((1, 2)))

  x = jax.random.uniform(jax.random.key(0), (2, 5, 5, 1))
  variables = Mixed().init(jax.random.key(1), x)

  def logits_fn(x):
    return Mixed().apply(variables, x)

  ruled = with_relu_rule(logits_fn, lambda z, g: jnp.where(z > 0, g, 0))
  np.testing.assert_array_equal(ruled(x), logits_fn(x))
