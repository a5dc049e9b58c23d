import jax
import jax.numpy as jnp
import numpy as np

from robust_saliency.objectives import forward_pass

WEIGHTS = np.random.default_rng(0).normal(size=(4, 3))
X = jnp.asarray(np.random.default_rng(1).uniform(size=(5, 2, 2, 1)))
Y = jnp.array([0, 1, 2, 0, 1])


def coupled(x):
  """A network whose examples share their mean, as in batch norm."""
  flat = x.reshape(len(x), -1)
  return jnp.tanh(flat - flat.mean(axis=0)) @ WEIGHTS


def loss(logits):
  return jnp.sum(logits**2, axis=-1)


def test_logits_and_input_gradient_are_those_of_two_calls():
  once = forward_pass(coupled, X, Y)
  np.testing.assert_allclose(once.logits, coupled(X), rtol=1e-6)
  expected = jax.grad(lambda x: jnp.sum(loss(coupled(x))))(X)
  np.testing.assert_allclose(once.input_gradient(loss), expected, rtol=1e-5, atol=1e-6)


def test_the_losses_of_padding_reach_no_pixel():
  mask = jnp.array([1.0, 1.0, 1.0, 0.0, 0.0])
  expected = jax.grad(lambda x: jnp.sum(loss(coupled(x))[:3]))(X)
  gradient = forward_pass(coupled, X, Y, mask).input_gradient(loss)
  np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


def test_the_network_is_called_once():
  calls = []

  def counted(x):
    calls.append(x)
    return coupled(x)

  once = forward_pass(counted, X, Y)
  once.input_gradient(loss)
  once.input_gradient(lambda logits: logits[:, 0])
  assert len(calls) == 1
