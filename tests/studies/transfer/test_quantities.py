"""Where curves cross and how far they lie apart, against NumPy's roots and sorting by hand."""

import numpy as np
import pytest

from robust_saliency.studies.transfer.quantities import crossing, crossings, highest_and_spread

RADII = np.array([0.0, 0.1, 0.2, 0.3, 0.4])


def test_a_crossing_lies_where_the_straight_line_between_two_radii_is_zero():
  random = np.random.default_rng(0)
  for _ in range(20):
    below = random.integers(1, 5)
    differences = np.where(np.arange(5) < below, -1, 1) * random.uniform(0.01, 0.9, 5)
    slope, height = np.polyfit(RADII[below - 1 : below + 1], differences[below - 1 : below + 1], 1)
    assert crossing(differences, RADII) == pytest.approx(-height / slope)


@pytest.mark.parametrize(
  ("differences", "radius"),
  [
    ([-0.1, -0.1, 0.0, 0.2, 0.3], 0.2),  # at a radius,
    ([-0.1, 0.0, 0.0, 0.2, 0.3], 0.15),  # nowhere in particular between two of them,
    ([0.0, -0.1, -0.1, 0.1, 0.3], 0.25),  # and equal at first.
  ],
)
def test_curves_that_meet_cross_in_the_middle_of_where_they_are_equal(differences, radius):
  assert crossing(np.array(differences), RADII) == pytest.approx(radius)


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
  assert np.isnan(crossing(np.array(differences), RADII))


def test_crossings_are_those_of_each_seed_s_accuracies_in_any_order_of_radii():
  correct = np.zeros((2, 3, 1, 2, 10), bool)
  for s, (ours, theirs) in enumerate([((4, 6, 9), (8, 5, 1)), ((4, 6, 9), (6, 7, 6))]):
    for e, (a, b) in enumerate(zip(ours, theirs, strict=True)):
      correct[s, e, 0, 0, :a] = correct[s, e, 0, 1, :b] = True
  radii = (0.1, 0.2, 0.3)
  found = crossings(correct, radii)
  # From -4 to 1 of ten images, and from -1 to 3.
  np.testing.assert_allclose(found[0, 0, 1], [0.1 + 0.1 * 4 / 5, 0.2 + 0.1 * 1 / 4])
  assert np.isnan(found[0, 1, 0]).all()
  np.testing.assert_array_equal(crossings(correct[:, [2, 0, 1]], (0.3, 0.1, 0.2)), found)


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
