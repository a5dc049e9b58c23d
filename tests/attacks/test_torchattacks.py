"""Our attacks beside torchattacks', on one network with the same weights and from one start."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_digits

from robust_saliency import models
from robust_saliency.attacks import bim, cross_entropy, fgsm, mim, pgd

torch = pytest.importorskip("torch", reason="compares with torchattacks")
torchattacks = pytest.importorskip("torchattacks", reason="compares with torchattacks")
twins = pytest.importorskip(
  "benchmarks.torch_twin", reason="needs the repository's root on the path"
)

pytestmark = pytest.mark.peers

KEY = jax.random.key(0)
STEPS = 10


@pytest.fixture(scope="module")
def digits():
  """(logits_fn, its PyTorch twin, x, y): a network with random weights on 32 real digits."""
  module = models.build("digits", batch_norm=True)
  variables = models.init(module, jax.random.key(1), (8, 8, 1))
  images, labels = load_digits(return_X_y=True)
  x = jnp.asarray(images[:32].reshape(-1, 8, 8, 1) / 16, jnp.float32)
  # Statistics of real images, as after training.
  _, collections = models.apply_fn(module)(variables, x, train=True)
  variables = {"params": variables["params"], **collections}
  logits_fn = jax.jit(models.logits_fn(module, variables))
  return logits_fn, twins.Twin(variables), x, jnp.asarray(labels[:32])


def same_start(monkeypatch, start, x, epsilon):
  """Makes torchattacks' next random start ours."""
  delta = twins.images_for_torch(start - x)
  lengths = delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
  monkeypatch.setattr(torch.Tensor, "normal_", lambda tensor, *_: tensor.copy_(delta))

  def uniform(tensor, *_):
    # PGDL2 draws a direction and then its length, PGD every pixel.
    return tensor.copy_(delta if tensor.shape == delta.shape else lengths / epsilon)

  monkeypatch.setattr(torch.Tensor, "uniform_", uniform)


def compare(digits, ours, theirs, *, pixels_equal=0.99):
  logits_fn, _, x, y = digits
  theirs = jnp.asarray(twins.images_from_torch(theirs))
  reached, expected = (cross_entropy(logits_fn(images), y) for images in (ours, theirs))
  assert (expected > cross_entropy(logits_fn(x), y) + 0.05).all()
  np.testing.assert_allclose(jnp.mean(reached), jnp.mean(expected), rtol=1e-3)
  np.testing.assert_allclose(reached, expected, rtol=2e-2)
  # The sign of a gradient near zero is the rounding's, so that some pixels part.
  assert np.mean(np.abs(ours - theirs) < 1e-4) >= pixels_equal


def torch_labels(y):
  return torch.tensor(np.asarray(y), dtype=torch.long)


def test_the_twin_computes_the_same_logits_and_input_gradients(digits):
  logits_fn, twin, x, y = digits
  torch_x = twins.images_for_torch(x).requires_grad_()
  logits = twin(torch_x)
  np.testing.assert_allclose(logits.detach(), logits_fn(x), atol=1e-4)
  torch.nn.functional.cross_entropy(logits, torch_labels(y), reduction="sum").backward()
  slopes = jax.grad(lambda x: cross_entropy(logits_fn(x), y).sum())(x)
  np.testing.assert_allclose(twins.images_from_torch(torch_x.grad), slopes, atol=1e-4)


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.1), ("l2", 0.8)])
def test_pgd_reaches_torchattacks_losses_from_the_same_start(digits, monkeypatch, norm, epsilon):
  logits_fn, twin, x, y = digits
  attack = jax.jit(
    lambda step_size, steps=STEPS: pgd(
      KEY,
      logits_fn,
      x,
      y,
      epsilon=epsilon,
      norm=norm,
      step_size=step_size,
      steps=steps,
      keep="last",
      unroll=False,
    )
  )
  # Steps of no length end where they start.
  same_start(monkeypatch, attack(0.0), x, epsilon)
  peer = {"linf": torchattacks.PGD, "l2": torchattacks.PGDL2}[norm]
  theirs = peer(twin, eps=epsilon, alpha=epsilon / 4, steps=STEPS, random_start=True)(
    twins.images_for_torch(x), torch_labels(y)
  )
  compare(digits, attack(epsilon / 4), theirs)


@pytest.mark.parametrize(
  ("ours", "theirs"),
  [
    (fgsm, lambda twin: torchattacks.FGSM(twin, eps=0.1)),
    (
      functools.partial(bim, steps=STEPS, step_size=0.02, keep="last", unroll=False),
      lambda twin: torchattacks.BIM(twin, eps=0.1, alpha=0.02, steps=STEPS),
    ),
    (
      functools.partial(mim, steps=STEPS, step_size=0.02, decay=0.9, keep="last", unroll=False),
      lambda twin: torchattacks.MIFGSM(twin, eps=0.1, alpha=0.02, steps=STEPS, decay=0.9),
    ),
  ],
  ids=["fgsm", "bim", "mim"],
)
def test_attacks_from_the_image_itself_equal_torchattacks(digits, ours, theirs):
  logits_fn, twin, x, y = digits
  x_adv = jax.jit(lambda x: ours(KEY, logits_fn, x, y, epsilon=0.1))(x)
  compare(digits, x_adv, theirs(twin)(twins.images_for_torch(x), torch_labels(y)))


def test_targeted_pgd_reaches_torchattacks_losses(digits):
  logits_fn, twin, x, y = digits
  target = (y + 3) % 10
  settings = {"epsilon": 0.2, "step_size": 0.05, "steps": STEPS, "unroll": False}
  x_adv = pgd(KEY, logits_fn, x, target, targeted=True, random_start=False, keep="last", **settings)
  peer = torchattacks.PGD(twin, eps=0.2, alpha=0.05, steps=STEPS, random_start=False)
  peer.set_mode_targeted_by_label()
  theirs = twins.images_from_torch(peer(twins.images_for_torch(x), torch_labels(target)))
  reached, expected = (cross_entropy(logits_fn(images), target) for images in (x_adv, theirs))
  np.testing.assert_allclose(jnp.mean(reached), jnp.mean(expected), rtol=5e-3)
