"""JSMA and the l1 attacks beside those of ART, the Adversarial Robustness Toolbox."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import apgd, fab, jsma

torch = pytest.importorskip("torch", reason="compares with the Adversarial Robustness Toolbox")
evasion = pytest.importorskip(
  "art.attacks.evasion", reason="compares with the Adversarial Robustness Toolbox"
)
twins = pytest.importorskip(
  "benchmarks.torch_twin", reason="needs the repository's root on the path"
)

pytestmark = pytest.mark.peers

KEY = jax.random.key(0)
NUMBERS = 64
PAIRS = 4
L1_EPSILON = 2.5
STEPS = 40


def for_art(module, classes):
  from art.estimators.classification import PyTorchClassifier

  torch.set_num_threads(1)  # many of them wait for one another on a busy machine
  return PyTorchClassifier(
    module,
    loss=torch.nn.CrossEntropyLoss(),
    input_shape=(1, 8, 8),
    nb_classes=classes,
    clip_values=(0.0, 1.0),
    device_type="cpu",
  )


class Antisymmetric(torch.nn.Module):
  """Logits -s and s of a smooth network s of images [B, 1, 8, 8]."""

  def __init__(self, inner, outer):
    super().__init__()
    self.inner, self.outer = (torch.nn.Parameter(torch.tensor(w)) for w in (inner, outer))

  def forward(self, x):
    score = torch.tanh(x.flatten(1) @ self.inner) @ self.outer
    return torch.stack([-score, score], dim=1)


@pytest.mark.parametrize("theta", [1.0, -1.0])
def test_jsma_changes_arts_pixels_in_arts_order_where_the_two_logits_are_opposite(theta):
  # ART takes the two free pixels where the target's slope alone is largest. Of opposite logits
  # the product that Papernot's pairs maximise is the square of that sum, and the pairs are equal.
  rng = np.random.default_rng(0)
  inner = rng.normal(size=(NUMBERS, 24)).astype(np.float32) / 8
  outer = rng.normal(size=24).astype(np.float32)
  # Some pixels stand at a bound, where they cannot be moved any further.
  x = np.clip(rng.uniform(-0.2, 1.2, (16, 8, 8, 1)), 0, 1).astype(np.float32)

  def logits_fn(images):
    score = jnp.tanh(images.reshape(len(images), -1) @ inner) @ outer
    return jnp.stack([-score, score], axis=1)

  target = np.asarray(1 - jnp.argmax(logits_fn(x), axis=1))
  ours = jax.jit(
    lambda gamma: jsma(KEY, logits_fn, x, target, theta=theta, gamma=gamma, targeted=True)
  )
  peer = for_art(Antisymmetric(inner, outer), classes=2)
  reached = []
  # Equal images after each pair are equal orders.
  for pairs in range(1, PAIRS + 1):
    # ART moves one more pair while at most gamma of the numbers have changed, ours while the pair
    # still fits into gamma.
    attack = evasion.SaliencyMapMethod(
      peer, theta=theta, gamma=(2 * pairs - 1) / NUMBERS, verbose=False
    )
    theirs = twins.images_from_torch(
      torch.tensor(attack.generate(twins.images_for_torch(x).numpy(), target))
    )
    np.testing.assert_array_equal(ours(2 * pairs / NUMBERS), theirs)
    reached.append(np.count_nonzero(jnp.argmax(logits_fn(theirs), axis=1) == target))
  # Some images stop at their target, some at gamma.
  assert 0 < reached[0] < reached[-1] < len(x)


@pytest.fixture(scope="module")
def left_right_by_art(trained_digits):
  """How many digits stand ART's PGD in l1 with either of two step sizes."""
  variables, _, x, y = trained_digits
  peer = for_art(twins.Twin(variables), classes=10)
  inputs = twins.images_for_torch(x).numpy()
  stand = np.ones(len(x), bool)
  for part in (0.1, 0.3):
    attack = evasion.ProjectedGradientDescent(
      peer, norm=1, eps=L1_EPSILON, eps_step=part * L1_EPSILON, max_iter=STEPS, verbose=False
    )
    images = attack.generate(inputs, np.asarray(y))
    assert np.abs(images - inputs).sum(axis=(1, 2, 3)).max() <= L1_EPSILON * (1 + 1e-5)
    stand &= peer.predict(images).argmax(axis=1) == np.asarray(y)
  return np.count_nonzero(stand)


@pytest.mark.parametrize("attack", [apgd, fab], ids=["apgd", "fab"])
def test_our_l1_attacks_leave_no_more_digits_right_than_arts_pgd(
  trained_digits, left_right_by_art, attack, lengths
):
  _, logits_fn, x, y = trained_digits
  assert 6 < left_right_by_art < len(x) - 6
  x_adv = jax.jit(
    lambda x: attack(KEY, logits_fn, x, y, epsilon=L1_EPSILON, norm="l1", steps=STEPS, unroll=False)
  )(x)
  ours = np.count_nonzero(jnp.argmax(logits_fn(x_adv), axis=1) == y)
  assert ours <= left_right_by_art + 1
  assert lengths(x_adv - x, "l1").max() <= L1_EPSILON * (1 + 1e-5)
  assert x_adv.min() >= 0
  assert x_adv.max() <= 1
