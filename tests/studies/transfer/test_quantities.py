"""Where curves cross and how far they lie apart, against NumPy's roots and sorting by hand."""

import numpy as np
import pytest
from scipy import stats

from robust_saliency.studies.transfer.quantities import crossing, crossings, highest_and_spread

RADII = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
NONE = np.zeros(5)


def test_a_crossing_lies_where_the_straight_line_between_two_radii_is_zero():
  random = np.random.default_rng(0)
  for _ in range(20):
    below = random.integers(1, 5)
    differences = np.where(np.arange(5) < below, -1, 1) * random.uniform(0.01, 0.9, 5)
    slope, height = np.polyfit(RADII[below - 1 : below + 1], differences[below - 1 : below + 1], 1)
    assert crossing(differences, NONE, RADII) == pytest.approx(-height / slope)


@pytest.mark.parametrize(
  ("differences", "radius"),
  [
    ([-0.1, -0.1, 0.0, 0.2, 0.3], 0.2),  # at a radius,
    ([-0.1, 0.0, 0.0, 0.2, 0.3], 0.15),  # nowhere in particular between two of them,
    ([0.0, -0.1, -0.1, 0.1, 0.3], 0.25),  # and equal at first.
  ],
)
def test_curves_that_meet_cross_in_the_middle_of_where_they_are_equal(differences, radius):
  assert crossing(np.array(differences), NONE, RADII) == pytest.approx(radius)


@pytest.mark.parametrize(
  "differences",
  [
    [-0.1, -0.2, -0.1, -0.3, -0.1],
    [-0.1, 0.1, -0.1, 0.2, 0.3],
    [0.1, 0.1, -0.1, -0.2, -0.3],
    [0.0, 0.0, 0.0, 0.0, 0.0],
    [-0.1, np.nan, 0.1, 0.2, 0.3],
  ],
  ids=["never", "three times", "downwards", "equal", "a network without numbers"],
)
def test_curves_that_do_not_cross_once_and_upwards_have_no_crossing(differences):
  assert np.isnan(crossing(np.array(differences), NONE, RADII))


def test_a_sign_that_the_noise_may_have_made_is_passed_over():
  differences = np.array([0.01, -0.2, 0.01, -0.01, 0.2])
  noise = np.full(5, 0.02)
  # Zeros of the three pieces between 0.1 and 0.4.
  zeros = [0.1 + 0.1 * 0.2 / 0.21, 0.25, 0.3 + 0.1 * 0.01 / 0.21]
  assert crossing(differences, noise, RADII) == pytest.approx(np.mean(zeros))
  assert np.isnan(crossing(differences, NONE, RADII))


def test_crossings_are_those_of_each_seed_s_accuracies_in_any_order_of_radii():
  correct = np.zeros((2, 3, 1, 2, 100), bool)
  for s, (ours, theirs) in enumerate([((40, 60, 90), (80, 50, 10)), ((40, 60, 90), (60, 61, 60))]):
    for e, (a, b) in enumerate(zip(ours, theirs, strict=True)):
      correct[s, e, 0, 0, :a] = correct[s, e, 0, 1, :b] = True
  radii = (0.1, 0.2, 0.3)
  found = crossings(correct, radii)
  # From -40 to 10 of a hundred images; and from -1, which tells nothing, to 30.
  np.testing.assert_allclose(found[0, 0, 1], [0.1 + 0.1 * 4 / 5, 0.2 + 0.1 / 31])
  assert np.isnan(found[0, 1, 0]).all()
  np.testing.assert_array_equal(crossings(correct[:, [2, 0, 1]], (0.3, 0.1, 0.2)), found)


def test_which_network_is_ahead_is_told_where_mcnemars_test_tells_it():
  radii, told = (0.1, 0.2, 0.3), []
  for ours in range(40):
    correct = np.zeros((1, 3, 1, 2, 200), bool)
    correct[0, 0, 0, 1] = correct[0, 1, 0, 0, :50] = correct[0, 1, 0, 1, 50:100] = True
    correct[0, 2, 0, 0, :ours] = correct[0, 2, 0, 1, 100:120] = True  # of b + c images b are ours
    z = (ours - 20) / np.sqrt(ours + 20)
    told.append(ours > 20 and 2 * stats.norm.sf(z) < 0.05)
    assert np.isfinite(crossings(correct, radii)[0, 0, 1, 0]) == told[-1]
  assert 0 < sum(told) < 20


def test_the_highest_target_is_chosen_on_one_half_and_judged_on_the_other():
  correct = np.random.default_rng(1).random((3, 2, 4, 5, 40)) < np.linspace(0.3, 0.7, 5)[:, None]
  highest, spread = highest_and_spread(correct)
  for e, i in np.ndindex(2, 4):
    right = [int(correct[:, e, i, j, 0::2].sum()) for j in range(5)]
    best, worst = (correct[:, e, i, right.index(one(right)), 1::2] for one in (max, min))
    assert highest[:, e, i].mean() == pytest.approx(best.mean())
    assert spread[:, e, i].mean() == pytest.approx(best.mean() - worst.mean())
  assert highest.dtype == bool


def test_a_target_without_numbers_is_neither_highest_nor_lowest():
  correct = np.ones((2, 1, 1, 3, 6))
  correct[:, :, :, 1] = 0
  correct[1, :, :, 2] = np.nan
  highest, spread = highest_and_spread(correct)
  assert (highest == 1).all()
  assert (spread == 1).all()
