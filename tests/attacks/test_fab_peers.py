"""Our minimal-norm attacks beside torchattacks' FAB, on one trained network with equal weights."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import deepfool, distances, fab, fmn

torch = pytest.importorskip("torch", reason="compares with torchattacks")
torchattacks = pytest.importorskip("torchattacks", reason="compares with torchattacks")
twins = pytest.importorskip(
  "benchmarks.torch_twin", reason="needs the repository's root on the path"
)

pytestmark = pytest.mark.peers

KEY = jax.random.key(0)
STEPS = 20
PEER_NORMS = {"linf": "Linf", "l2": "L2", "l1": "L1"}


@pytest.fixture(scope="module")
def trained(trained_digits):
  """(logits_fn, its PyTorch twin, x [32], y [32]): a network trained on digits, and unseen ones."""
  variables, logits_fn, x, y = trained_digits
  return logits_fn, twins.Twin(variables), x[:32], y[:32]


def measure(trained, norm, x_adv):
  logits_fn, _, x, y = trained
  return np.asarray(distances(norm, x, x_adv, jnp.argmax(logits_fn(x_adv), axis=-1) != y))


def ours(trained, attack, norm, **settings):
  logits_fn, _, x, y = trained
  settings = {"norm": norm, "unroll": False, **settings}
  return measure(
    trained, norm, jax.jit(functools.partial(attack, KEY, logits_fn, **settings))(x, y)
  )


@pytest.fixture(scope="module")
def theirs(trained):
  """(norm, whether targeted) -> torchattacks' distances; of all targets the nearest.

  Its own driver stops at the first target within epsilon.
  """
  _, twin, x, y = trained
  torch_x, torch_y = twins.images_for_torch(x), torch.tensor(np.asarray(y), dtype=torch.long)

  @functools.cache
  def run(norm, targeted):
    peer = torchattacks.FAB(twin, norm=PEER_NORMS[norm], steps=STEPS, multi_targeted=targeted)
    if not targeted:
      found = peer.attack_single_run(torch_x, torch_y)
      return measure(trained, norm, twins.images_from_torch(found))
    nearest = np.full(len(x), np.inf)
    for peer.target_class in range(2, 11):
      found = peer.attack_single_run_targeted(torch_x, torch_y)
      nearest = np.minimum(nearest, measure(trained, norm, twins.images_from_torch(found)))
    return nearest

  return run


@pytest.mark.parametrize("targeted", [True, False], ids=["targeted", "untargeted"])
@pytest.mark.parametrize("norm", PEER_NORMS)
def test_fab_goes_no_further_than_torchattacks_fab(trained, theirs, norm, targeted):
  expected = theirs(norm, targeted)
  reached = ours(trained, fab, norm, steps=STEPS, targets=9 if targeted else None)
  assert np.isfinite(expected).all()
  assert np.median(reached) <= 1.01 * np.median(expected)
  assert (reached <= 1.02 * expected).mean() >= 0.95


@pytest.mark.parametrize(
  ("attack", "norm", "excess"),
  [(fmn, "linf", 0.02), (fmn, "l2", 0.03), (fmn, "l1", 0.1), (deepfool, "l2", 0.1)],
  ids=["fmn-linf", "fmn-l2", "fmn-l1", "deepfool-l2"],
)
def test_other_minimal_norm_attacks_come_near_to_torchattacks_fab(
  trained, theirs, attack, norm, excess
):
  expected = theirs(norm, True)
  reached = ours(trained, attack, norm)
  assert np.median(reached) <= (1 + excess) * np.median(expected)
  assert (reached <= 2 * expected).all()
