"""Networks written in Equinox: attacked and evaluated as any other function of images."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from robust_saliency import attacks

eqx = pytest.importorskip("equinox", reason="attacks networks written in Equinox")

pytestmark = pytest.mark.peers

KEY = jax.random.key(0)
EPSILON = 0.1


def perceptron():
  """Of flattened images."""
  model = eqx.nn.MLP(64, 10, width_size=32, depth=1, key=KEY)
  return lambda x: jax.vmap(model)(x.reshape(len(x), -1))


def convolutional():
  """Of images with their channels first, as Equinox has them."""
  keys = jax.random.split(KEY)
  model = eqx.nn.Sequential(
    [
      eqx.nn.Conv2d(1, 4, 3, stride=2, key=keys[0]),
      eqx.nn.Lambda(jax.nn.relu),
      eqx.nn.Lambda(jnp.ravel),
      eqx.nn.Linear(36, 10, key=keys[1]),
    ]
  )
  return lambda x: jax.vmap(model)(jnp.moveaxis(x, -1, 1))


@pytest.fixture(scope="module")
def digits():
  """x [12, 8, 8, 1] in [0, 1]."""
  images, _ = load_digits(return_X_y=True)
  return jnp.asarray(images[:12].reshape(-1, 8, 8, 1) / 16, jnp.float32)


@pytest.mark.parametrize("build", [perceptron, convolutional])
def test_an_equinox_network_is_attacked_and_evaluated(digits, build):
  logits_fn = build()
  # What the network says itself, but for two images, which no attack need break.
  y = jnp.argmax(logits_fn(digits), axis=1).at[:2].add(1) % 10
  attack = functools.partial(attacks.pgd, epsilon=EPSILON, steps=3, unroll=False)
  x_adv = attack(KEY, logits_fn, digits, y)
  evaluation = attacks.evaluate_attacks(
    KEY, logits_fn, digits, y, attacks={"pgd": attack}, epsilon=EPSILON, probed=0
  )
  before, after = (attacks.cross_entropy(logits_fn(x), y) for x in (digits, x_adv))
  assert (after > before).all()
  assert np.abs(x_adv - digits).max() <= EPSILON + 1e-6
  assert evaluation.correct.tolist() == [False] * 2 + [True] * 10
  assert evaluation.robust.shape == (12,)
  assert not (evaluation.robust & ~evaluation.correct).any()
  assert evaluation.robust.sum() < 10
  # The verdicts are the network's on the images that were found.
  found = evaluation.verdicts["pgd"].x_adv
  right = np.asarray(jnp.argmax(logits_fn(found), axis=1) == y)
  np.testing.assert_array_equal(evaluation.robust, evaluation.correct & right)
