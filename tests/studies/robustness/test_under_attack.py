"""Verdicts restart by restart, against closed forms: linear networks, and attacks of known odds."""

import jax
import jax.numpy as jnp
import linear
import numpy as np
import pytest

from robust_saliency.studies.robustness import Robustness
from robust_saliency.studies.robustness.under_attack import UnderAttack
from robust_saliency.studies.study import run_study

EPSILONS = (0.0, 0.02, 0.05, 0.1)
KEY = jax.random.key(5)


def images():
  return linear.dataset().test.x


def to_black(chance):
  """An attack that with this chance turns an image to black, on which network 0 says class 0."""

  def attack(keys, logits_fn, x, y, *, epsilon):
    blackens = jax.vmap(jax.random.bernoulli, in_axes=(0, None))(keys, chance)
    return jnp.where(blackens[:, None, None, None], 0 * x, x)

  return attack


def under(attack, **settings):
  settings = {"epsilons": EPSILONS, "batch_size": 8, **settings}
  return UnderAttack(attack, **settings)(linear.network(0), KEY, images(), linear.dataset().test.y)


def test_every_restart_has_the_same_chance_with_images_that_earlier_ones_have_left():
  y = linear.dataset().test.y
  epsilons = tuple(np.linspace(0.01, 0.1, 8))
  foolable = int((y == 1).sum())  # black is of class 0
  same_keys = under(to_black(0.5), epsilons=epsilons, restarts=1)[:, y == 1]
  assert (same_keys == same_keys[0]).all()  # at all radii alike
  left = [under(to_black(0.5), restarts=n)[1:, y == 1].all(axis=0).sum() for n in (1, 2, 3)]
  # Binomial with chances 1/2, 1/4 and 1/8: four standard deviations around.
  for n, count in enumerate(left, 1):
    chance = 0.5**n
    assert abs(count - foolable * chance) < 4 * np.sqrt(foolable * chance * (1 - chance))
  assert left[0] > left[1] > left[2]
  assert under(to_black(0.5), restarts=3)[:, y == 0].all()


def test_what_is_fooled_or_at_radius_0_is_not_attacked():
  calls = []

  def watched(chance):
    attack = to_black(chance)

    def counting(keys, logits_fn, x, y, *, epsilon):
      jax.debug.callback(lambda epsilon: calls.append(float(epsilon)), epsilon)
      return attack(keys, logits_fn, x, y, epsilon=epsilon)

    return counting

  def rounds(chance, restarts):
    calls.clear()
    # One device's worth of rows, so that none is filled up: 37 images at three radii.
    under(watched(chance), restarts=restarts, batch_size=37)
    jax.effects_barrier()
    assert min(calls) > 0
    return len(calls)

  once = rounds(0.0, 1)
  assert once >= 3 * 37
  assert rounds(0.0, 3) == 3 * once  # nothing is fooled: all are attacked three times
  # Black fools those of class 1 alone; the others are attacked three times, in smaller batches.
  others = int((linear.dataset().test.y == 0).sum())
  assert once + 2 * 3 * others <= rounds(1.0, 3) < 2.5 * once


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_the_answer_depends_neither_on_the_batch_size_nor_on_other_images(batch_size):
  whole = under(to_black(0.3), restarts=3)
  np.testing.assert_array_equal(under(to_black(0.3), restarts=3, batch_size=batch_size), whole)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("name", ["pgd", "apgd", "square", "fab"])
def test_attacks_with_restarts_reach_the_margin_over_the_dual_norm(name, dataset, tmp_path):
  attack = {"name": name, "restarts": 2, "norm": "linf"}
  attack |= {"queries": 200} if name == "square" else {"steps": 5}
  study = Robustness(attacks={"it": attack}, epsilons=EPSILONS, batch_size=16)
  networks = {"first": [linear.network(0)]}
  result = run_study("r", study, networks, dataset, key=KEY, seeds=(0,), directory=tmp_path)
  expected = linear.robust(dataset.test.x, dataset.test.y, 0, EPSILONS)
  np.testing.assert_array_equal(result.at("correct", attack="it", model="first")[0], expected)
