import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import bim, cross_entropy, mim

KEY = jax.random.key(0)


def test_mim_is_the_published_algorithm_step_by_step(network):
  logits_fn, x, y = network
  epsilon, step_size, decay = 0.1, 0.04, 0.7
  slope = jax.jit(jax.grad(lambda x: cross_entropy(logits_fn(x), y).sum()))
  accumulated, expected = np.zeros(x.shape), np.asarray(x)
  for _ in range(4):
    g = np.asarray(slope(jnp.asarray(expected, jnp.float32)), np.float64)
    accumulated = decay * accumulated + g / np.abs(g).sum(axis=(1, 2, 3), keepdims=True)
    moved = expected + step_size * np.sign(accumulated)
    expected = np.clip(np.clip(moved, x - epsilon, x + epsilon), 0, 1)
  settings = {"epsilon": epsilon, "step_size": step_size, "decay": decay, "steps": 4}
  x_adv = mim(KEY, logits_fn, x, y, keep="last", unroll=False, **settings)
  np.testing.assert_allclose(x_adv, expected, atol=1e-6)


def test_mim_without_memory_is_bim(network):
  settings = {"epsilon": 0.1, "steps": 4, "keep": "last", "unroll": False}
  np.testing.assert_allclose(
    mim(KEY, *network, decay=0.0, **settings), bim(KEY, *network, **settings), atol=1e-6
  )


def test_mim_follows_gradients_too_small_to_square(network):
  logits_fn, x, y = network
  settings = {"epsilon": 0.1, "steps": 3, "keep": "last", "unroll": False, "norm": "l2"}

  def tiny(logits, y):
    return 1e-25 * logits.sum(axis=1)

  def large(logits, y):
    return logits.sum(axis=1)

  np.testing.assert_allclose(
    mim(KEY, logits_fn, x, y, loss=tiny, **settings),
    mim(KEY, logits_fn, x, y, loss=large, **settings),
    atol=1e-5,
  )


@pytest.mark.parametrize(
  ("arguments", "error", "sentence"),
  [
    ({"epsilon": 0.1, "decay": -1.0}, ValueError, "decay must be >= 0, got -1.0"),
    ({"epsilon": "a"}, TypeError, "epsilon must be a number >= 0, got 'a'"),
    ({"epsilon": 0.1, "steps": 0}, ValueError, "steps must be >= 1, got 0"),
  ],
)
def test_a_bad_argument_is_refused(network, arguments, error, sentence):
  with pytest.raises(error, match=sentence):
    mim(KEY, *network, **arguments)
