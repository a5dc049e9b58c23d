"""Intervals of shares of networks, against formulas in NumPy and simulated experiments."""

import numpy as np
import pytest
from scipy import special, stats

from robust_saliency import results as statistics
from robust_saliency.results.score_intervals import tango, wilson

Z = stats.norm.ppf(0.975)


def nested(correct):
  """The interval from three networks on, spelled out for [S, N]."""
  networks, images = correct.shape
  a = correct.mean(axis=1).var(ddof=1) / networks
  b = correct.mean(axis=0).var(ddof=1) / images
  freedom = (a + b) ** 2 / (a**2 / (networks - 1) + b**2 / (images - 1))
  return stats.t.interval(0.95, freedom, loc=correct.mean(), scale=np.sqrt(a + b))


def simulated(experiments, networks, images, *, of_seeds, of_images, shift=0.0, seed=0):
  """Correctness of networks that differ on images that differ, and the mean of all of both."""
  random = np.random.default_rng(seed)
  seeds = random.normal(0, of_seeds, (experiments, networks, 1))
  hardness = random.normal(0, of_images, (experiments, 1, images))
  correct = random.random((experiments, networks, images)) < special.expit(shift + seeds + hardness)
  nodes, weights = np.polynomial.hermite_e.hermegauss(60)
  spread = np.hypot(of_seeds, of_images)
  return correct, special.expit(shift + spread * nodes) @ weights / weights.sum()


def test_one_network_s_share_has_wilsons_interval():
  estimate = statistics.share(np.arange(20)[None] < 20)
  expected = stats.binomtest(20, 20).proportion_ci(0.95, method="wilson")
  assert estimate[:3] == pytest.approx((1, expected.low, expected.high))
  assert estimate.over == "20 test images, one network"
  assert estimate.networks == 1


def test_three_networks_have_the_interval_over_networks_and_images():
  correct = np.random.default_rng(0).random((3, 200)) < np.array([[0.6], [0.8], [0.7]])
  estimate = statistics.share(correct)
  assert estimate[1:3] == pytest.approx(nested(correct))
  assert estimate.over == "200 test images and 3 networks"


def test_many_shares_are_the_shares_one_by_one():
  correct = np.random.default_rng(0).random((2, 4, 3, 50)) < 0.9
  many = statistics.shares(correct)
  for index in np.ndindex(2, 4):
    assert many[index].one() == statistics.share(correct[index])
  assert many[:, 1].T.low.shape == (2,)


def test_a_share_is_never_surer_than_wilson_says_of_its_images():
  alike = np.repeat(np.arange(20)[None] < 20, 5, axis=0)
  low, high = wilson(20, 20, Z)
  assert statistics.share(alike)[1:3] == pytest.approx((low, high))
  apart = statistics.share_difference(alike, alike)
  assert apart[1:3] == pytest.approx(tango(0, 0, 20, Z))


def test_intervals_stay_within_what_a_share_can_be():
  few = np.arange(4) < np.array([4, 1, 4])[:, None]
  assert statistics.share(few)[1:3] == (0, 1)
  assert statistics.share_difference(few, 1 - few).low >= -1
  assert statistics.share_ratio(few, few).low >= 0


@pytest.mark.parametrize("networks", [3, 5])
@pytest.mark.parametrize(("of_seeds", "of_images"), [(0.5, 1.0), (0.05, 2.0), (0.3, 0.1)])
def test_the_share_of_all_networks_and_images_is_held_as_often_as_it_says(
  networks, of_seeds, of_images
):
  correct, truth = simulated(400, networks, 60, of_seeds=of_seeds, of_images=of_images, shift=1.5)
  estimates = statistics.shares(correct)
  assert np.mean((estimates.low <= truth) & (truth <= estimates.high)) >= 0.93


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("networks", [1, 3, 5])
def test_a_difference_is_held_as_often_as_it_says(networks):
  # A single network's interval is about that network, so it is drawn once.
  of_seeds = 0.4 if networks > 1 else 0.0
  ours, our_truth = simulated(300, networks, 60, of_seeds=of_seeds, of_images=1.0, shift=2.0)
  theirs, their_truth = simulated(
    300, networks, 60, of_seeds=of_seeds, of_images=1.0, shift=1.0, seed=1
  )
  held = [
    low <= our_truth - their_truth <= high
    for _, low, high, *_ in map(statistics.share_difference, ours, theirs)
  ]
  assert np.mean(held) >= 0.93


def test_twenty_of_twenty_is_no_certainty():
  truth = 0.98
  correct = np.random.default_rng(0).random((1000, 1, 20)) < truth
  estimates = statistics.shares(correct)
  assert np.mean((estimates.low <= truth) & (truth <= estimates.high)) >= 0.93


def test_two_networks_are_judged_by_their_images_and_say_so():
  correct = np.stack([np.arange(100) < 80, np.arange(100) < 90])
  estimate = statistics.share(correct)
  assert estimate[1:3] == pytest.approx(wilson(85, 100, Z))
  assert estimate.over == "100 test images, two networks"
  gap = statistics.share_difference(correct, correct[::-1])
  assert gap.value == 0
  assert gap[1:3] == pytest.approx(tango(5, 5, 100, Z))


def test_a_ratio_is_paired_by_image():
  random = np.random.default_rng(0)
  correct = random.random((1, 1000)) < 0.9
  same = statistics.share_ratio(correct, correct)
  assert same.value == 1
  assert 0.99 < same.low < 1 < same.high < 1.01
  other = statistics.share_ratio(random.random((1, 1000)) < 0.9, correct)
  assert other.high - other.low > 10 * (same.high - same.low) / 2
  of_three = statistics.share_ratio(np.repeat(correct, 3, axis=0), np.repeat(correct, 3, axis=0))
  assert of_three.value == 1
  assert of_three.low < 1 < of_three.high


def test_a_ratio_of_three_networks_is_over_networks_too():
  random = np.random.default_rng(0)
  theirs = random.random((3, 400)) < 0.9
  ours = theirs & (random.random((3, 400)) < np.array([[0.5], [0.7], [0.9]]))
  ratios = ours.mean(axis=1) / theirs.mean(axis=1)
  low, high = stats.t.interval(0.95, 2, loc=ratios.mean(), scale=stats.sem(ratios))
  estimate = statistics.share_ratio(ours, theirs)
  assert estimate.value == pytest.approx(ratios.mean())
  # Images add a little: slightly wider by variance, a few more degrees of freedom.
  assert (estimate.low, estimate.high) == pytest.approx((low, high), abs=0.06)


def test_nothing_of_nothing_is_no_number():
  nothing = np.zeros((3, 10))
  for estimate in (
    statistics.share_ratio(nothing, nothing),
    statistics.share_within(nothing, nothing),
    statistics.mean(np.full((1, 5), np.nan)),
    statistics.share(np.zeros((1, 0))),
    statistics.share_difference(np.zeros((1, 0)), np.zeros((1, 0))),
  ):
    assert np.isnan(estimate[:3]).all()
    assert statistics.judge(estimate, "<=", 0.5) == "undecided"
    assert statistics.judge(estimate, ">=", 0.5) == "undecided"


def test_a_part_of_few_images_is_a_share_of_those():
  whole = np.arange(100)[None] < 8
  estimate = statistics.share_within(np.arange(100)[None] < 6, whole)
  assert estimate[:3] == pytest.approx((0.75, *wilson(6, 8, Z)))
  # One network of three has nothing there: 0 / 0.
  whole = np.concatenate([whole, whole, np.zeros_like(whole)])
  assert np.isnan(statistics.share_within(whole, whole).value)


CONSTANTS = {
  "share": lambda v: statistics.share(v),
  "share_difference": lambda v: statistics.share_difference(v, v),
  "share_ratio": lambda v: statistics.share_ratio(v, v),
  "share_within": lambda v: statistics.share_within(v, v),
  "mean": lambda v: statistics.mean(v - 0.3),
  "rate": lambda v: statistics.rate(v, images_each=9),
  "rate_difference": lambda v: statistics.rate_difference(v, v, images_each=9),
  "median_difference": lambda v: statistics.median_difference(v / 7, v / 3),
  "of_networks": lambda v: statistics.of_networks(v.mean(axis=1) / 3),
}


@pytest.mark.parametrize("networks", [1, 2, 3, 5])
@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("name", CONSTANTS)
def test_no_interval_of_constant_data_has_zero_width(name, value, networks):
  estimate = CONSTANTS[name](np.full((networks, 20), float(value)))
  if np.isnan(estimate.value):
    assert (name, value) in {("share_ratio", 0), ("share_within", 0)}
    return
  assert estimate.low <= estimate.value <= estimate.high
  assert estimate.high - estimate.low > 1e-3
  if not np.isfinite(estimate.low):
    assert "; " in estimate.over  # and it says why


def test_a_difference_of_shares_within_wholes_has_newcombes_interval_for_one_network():
  # Method 10 for 56 of 70 and 48 of 80, the example of its paper: 0.0524 to 0.3339.
  ours = np.arange(80)[None] < 56, np.arange(80)[None] < 70
  theirs = np.arange(80)[None] < 48, np.ones((1, 80), bool)
  estimate = statistics.share_within_difference(ours, theirs)
  assert estimate[:3] == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
  assert estimate.over == "70 and 80 test images, one network"


def test_a_difference_of_shares_within_wholes_covers_networks_and_images():
  random, truth, covered = np.random.default_rng(3), 0.8 * 0.5 - 0.5 * 0.5, 0
  for _ in range(20):
    either = random.random((2, 4, 200)) < 0.6
    levels = np.array([0.8, 0.5])[:, None, None] + random.normal(0, 0.05, (2, 4, 1))
    both = either & (random.random((2, 4, 200)) < 0.5 * levels)
    pairs = [(b, e) for b, e in zip(both, either, strict=True)]
    estimate = statistics.share_within_difference(*pairs)
    covered += estimate.low <= truth <= estimate.high
    by_hand = np.mean(
      [b.sum() / e.sum() for b, e in zip(both[0], either[0], strict=True)]
    ) - np.mean([b.sum() / e.sum() for b, e in zip(both[1], either[1], strict=True)])
    assert estimate.value == pytest.approx(by_hand)
  assert covered >= 16  # of 20 at 95 %, all but three in a thousand times


def test_a_difference_that_all_networks_share_has_a_width():
  """Three networks know no less than two, and not everything."""
  few = np.ones((3, 5))
  estimate = statistics.share_within_difference((few, few), (0 * few, few))
  assert estimate.value == 1
  assert estimate.low < 0.7
  equal = statistics.share_within_difference((few, few), (few, few))
  assert equal.low < 0 < equal.high


def test_nothing_within_a_whole_has_no_difference():
  empty = np.zeros((3, 9))
  estimate = statistics.share_within_difference((empty, empty), (empty, 1 + empty))
  assert np.isnan(estimate[:3]).all()
