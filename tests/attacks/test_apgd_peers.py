"""Auto-PGD beside torchattacks', on one small trained network with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import load_digits

from robust_saliency import models
from robust_saliency.attacks import apgd, apgd_targeted, cross_entropy

torch = pytest.importorskip("torch", reason="compares with torchattacks")
torchattacks = pytest.importorskip("torchattacks", reason="compares with torchattacks")
twins = pytest.importorskip(
  "benchmarks.torch_twin", reason="needs the repository's root on the path"
)

pytestmark = pytest.mark.peers

KEY = jax.random.key(0)
EPSILONS = {"linf": 0.1, "l2": 0.5}
PEERS_NAMES = {"linf": "Linf", "l2": "L2"}
PEERS_LOSSES = {"cross_entropy": "ce", "dlr": "dlr"}


@pytest.fixture(scope="module")
def digits():
  """(logits_fn, its PyTorch twin, x, y): a network trained on real digits, and 64 others."""
  images, labels = load_digits(return_X_y=True)
  x = jnp.asarray(images.reshape(-1, 8, 8, 1) / 16, jnp.float32)
  y = jnp.asarray(labels)
  module = models.build("digits")
  variables = models.init(module, jax.random.key(1), (8, 8, 1))
  optimizer = optax.adam(2e-3)

  @jax.jit
  def step(params, state, x, y):
    def mean_loss(params):
      return cross_entropy(models.logits_fn(module, {**variables, "params": params})(x), y).mean()

    updates, state = optimizer.update(jax.grad(mean_loss)(params), state)
    return optax.apply_updates(params, updates), state

  params, state = variables["params"], optimizer.init(variables["params"])
  for i in range(150):
    batch = slice(100 * (i % 15), 100 * (i % 15 + 1))
    params, state = step(params, state, x[batch], y[batch])
  variables = {**variables, "params": params}
  x, y = x[1600:1664], y[1600:1664]
  logits_fn = jax.jit(models.logits_fn(module, variables))
  torch.set_num_threads(1)  # many of them wait for one another on a busy machine
  assert (logits_fn(x).argmax(axis=1) == y).mean() > 0.85
  return logits_fn, twins.Twin(variables), x, y


def for_torch(x, y):
  return twins.images_for_torch(x), torch.tensor(np.asarray(y), dtype=torch.long)


def broken(logits_fn, x_adv, y):
  return int((logits_fn(x_adv).argmax(axis=1) != y).sum())


def peers_apgd(digits, norm, loss, seed=0):
  """torchattacks' (mean loss, images)."""
  _, twin, x, y = digits
  torch.manual_seed(seed)
  peer = torchattacks.APGD(
    twin, norm=PEERS_NAMES[norm], eps=EPSILONS[norm], steps=100, loss=PEERS_LOSSES[loss]
  )
  losses, images = peer.perturb(*for_torch(x, y), best_loss=True)
  return float(losses.mean()), jnp.asarray(twins.images_from_torch(images))


def our_apgd(digits, norm, loss):
  logits_fn, _, x, y = digits
  settings = {"epsilon": EPSILONS[norm], "norm": norm, "loss": loss, "steps": 100}
  return jax.jit(lambda key: apgd(key, logits_fn, x, y, **settings))


@pytest.mark.parametrize("norm", EPSILONS)
def test_apgd_reaches_torchattacks_cross_entropy(digits, norm):
  logits_fn, _, _, y = digits
  ours = our_apgd(digits, norm, "cross_entropy")(KEY)
  expected, theirs = peers_apgd(digits, norm, "cross_entropy")
  np.testing.assert_allclose(cross_entropy(logits_fn(theirs), y).mean(), expected, rtol=1e-4)
  np.testing.assert_allclose(cross_entropy(logits_fn(ours), y).mean(), expected, rtol=0.01)
  assert 8 < broken(logits_fn, theirs, y) < 56
  assert abs(broken(logits_fn, ours, y) - broken(logits_fn, theirs, y)) <= 1


@pytest.mark.parametrize("norm", EPSILONS)
def test_apgd_with_dlr_breaks_as_many_as_torchattacks(digits, norm):
  logits_fn, _, _, y = digits
  attack = our_apgd(digits, norm, "dlr")
  # Both depend on their starts by one or two of the 64 images.
  ours = [broken(logits_fn, attack(jax.random.key(i)), y) for i in range(5)]
  theirs = [broken(logits_fn, peers_apgd(digits, norm, "dlr", i)[1], y) for i in range(3)]
  assert 8 < np.mean(theirs) < 56
  assert abs(np.mean(ours) - np.mean(theirs)) <= 1


def test_targeted_apgd_breaks_as_many_as_torchattacks(digits):
  logits_fn, twin, x, y = digits
  settings = {"epsilon": EPSILONS["linf"], "steps": 50}
  _, theirs = torchattacks.APGDT(twin, eps=EPSILONS["linf"], steps=50).perturb(*for_torch(x, y))
  expected = broken(logits_fn, jnp.asarray(twins.images_from_torch(theirs)), y)
  assert 8 < expected < 56
  for keep in ("best", "first"):
    attack = jax.jit(
      lambda x, keep=keep: apgd_targeted(KEY, logits_fn, x, y, keep=keep, **settings)
    )
    assert abs(broken(logits_fn, attack(x), y) - expected) <= 1
