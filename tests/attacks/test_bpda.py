import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import bim, fmn, pgd, with_surrogate_gradient

KEY = jax.random.key(0)
EPSILON = 0.2
LEVELS = 8


def quantise(x):
  return jnp.round(x * LEVELS) / LEVELS


def test_pgd_passes_through_quantisation_only_with_a_surrogate(linear):
  weights, logits_fn, x, y = linear(2)

  def attack(preprocess):
    return pgd(
      KEY,
      lambda images: logits_fn(preprocess(images)),
      x,
      y,
      epsilon=EPSILON,
      steps=20,
      random_start=False,
    )

  np.testing.assert_array_equal(attack(quantise), x)
  # Every weight wants its pixel as high or as low as the ball allows, quantised or not.
  up = jnp.sign(weights[:, 0] - weights[:, 1]).reshape(3, 2, 1)
  up = up * jnp.where(y == 0, -1, 1).reshape(-1, 1, 1, 1)
  np.testing.assert_allclose(
    quantise(attack(with_surrogate_gradient(quantise))), quantise(x + EPSILON * up), atol=1e-6
  )


def test_values_are_the_forward_function_s_to_the_bit():
  x = jax.random.normal(KEY, (1000,)) * 10.0 ** jnp.linspace(-30, 30, 1000)

  def forward(x):
    return jnp.sin(x) * 0.1

  function = with_surrogate_gradient(forward, lambda x: jnp.tanh(x) * 1e3)
  for run in (lambda f: f(x), lambda f: jax.jit(f)(x), lambda f: jax.vjp(f, x)[0]):
    np.testing.assert_array_equal(run(function), run(forward))


def test_derivatives_of_both_modes_and_orders_are_the_surrogate_s():
  x = jnp.array([0.3, -0.7, 1.1])
  function = with_surrogate_gradient(jnp.sign, lambda x: jnp.tanh(3 * x))
  for derivative in (jax.jacrev, jax.jacfwd, jax.hessian, lambda f: jax.jacrev(jax.jacrev(f))):
    np.testing.assert_allclose(
      derivative(function)(x), derivative(lambda x: jnp.tanh(3 * x))(x), rtol=1e-5, atol=1e-6
    )


def test_a_function_on_the_host_can_be_attacked(network):
  logits_fn, x, y = network

  def on_the_host(images):
    shape = jax.ShapeDtypeStruct(images.shape, images.dtype)
    return jax.pure_callback(
      lambda images: np.round(np.asarray(images) * 16) / np.float32(16), shape, images
    )

  defended = with_surrogate_gradient(on_the_host)

  @jax.jit
  def attack(x):
    model = lambda images: logits_fn(defended(images))  # noqa: E731
    settings = {"steps": 10, "unroll": False}
    return bim(KEY, model, x, y, epsilon=0.3, **settings), fmn(KEY, model, x, y, **settings)

  for x_adv in attack(x):
    wrong = jnp.argmax(logits_fn(jnp.round(x_adv * 16) / 16), axis=1) != y
    assert wrong.mean() >= 0.8


def test_a_surrogate_of_another_shape_or_dtype_is_refused():
  x = jnp.ones((2, 3))
  with pytest.raises(ValueError, match=r"float32 of shape \(2, 3\), got float32 of shape \(2,\)"):
    with_surrogate_gradient(jnp.round, lambda x: x.sum(1))(x)
  with pytest.raises(ValueError, match=r"int32 of shape \(2, 3\), got float32 of shape \(2, 3\)"):
    with_surrogate_gradient(lambda x: x.astype(int))(x)
