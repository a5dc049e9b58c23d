"""Intervals of means, medians and rates, against SciPy's and simulated experiments."""

import numpy as np
import pytest
from scipy import stats

from robust_saliency import results as statistics


def test_a_mean_s_interval_is_no_narrower_than_students_and_holds_a_skewed_one():
  values = np.random.default_rng(0).exponential(size=(1, 60))
  low, high = stats.t.interval(0.95, 59, loc=values.mean(), scale=stats.sem(values[0]))
  estimate = statistics.mean(values)
  assert estimate.low <= low
  assert estimate.high >= high
  # SciPy's bootstrap reaches as far up, but for the few draws that either makes.
  theirs = stats.bootstrap(
    (values[0],), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(1)
  ).confidence_interval
  assert estimate.high == pytest.approx(theirs.high, abs=0.05)


def test_a_few_values_above_zero_do_not_bound_a_mean_away_from_zero():
  values = np.zeros((1, 50))
  values[0, :2] = 1e-3
  assert statistics.mean(values).low < 0
  rates = statistics.rate_difference(values * 100, np.zeros((1, 50)), images_each=9)
  assert rates.low < 0


def test_three_networks_means_are_over_both():
  random = np.random.default_rng(0)
  values = random.normal(size=(3, 1)) + random.normal(size=(3, 40))
  a, b = values.mean(axis=1).var(ddof=1) / 3, values.mean(axis=0).var(ddof=1) / 40
  freedom = (a + b) ** 2 / (a**2 / 2 + b**2 / 39)
  expected = stats.t.interval(0.95, freedom, loc=values.mean(), scale=np.sqrt(a + b))
  assert statistics.mean(values)[1:3] == pytest.approx(expected)


def test_values_that_are_not_finite_do_not_count():
  values = np.random.default_rng(0).normal(size=(1, 40))
  some = np.concatenate([values, np.full((1, 20), np.nan)], axis=1)
  ours, theirs = statistics.mean(some), statistics.mean(values)
  assert ours.value == pytest.approx(theirs.value)
  assert ours[1:3] == pytest.approx(theirs[1:3], abs=0.05)
  assert ours.over == "40 test images, one network"


def test_a_median_s_interval_holds_it_as_often_as_it_says():
  random = np.random.default_rng(0)
  values = random.standard_cauchy((200, 2, 1, 41))
  held = [
    estimate.low <= 0 <= estimate.high
    for estimate in (statistics.median_difference(ours, theirs) for ours, theirs in values)
  ]
  assert np.mean(held) >= 0.93


def test_medians_of_pairs_that_move_together_are_told_apart():
  theirs = np.random.default_rng(0).normal(size=(1, 200))
  estimate = statistics.median_difference(theirs + 0.1, theirs)
  assert estimate.value == pytest.approx(0.1)
  unpaired = statistics.median_difference(theirs[:, ::-1] + 0.1, theirs)
  assert unpaired.high - unpaired.low > 0.2
  # Every resample has the same difference, up to rounding: no width to go by.
  assert (estimate.low, estimate.high) == (-np.inf, np.inf)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("networks", [3, 5])
def test_medians_of_networks_are_held_as_often_as_they_say(networks):
  random = np.random.default_rng(0)
  held = []
  for _ in range(100):
    ours, theirs = random.normal(size=(2, networks, 1)) * 0.3 + random.normal(size=(2, 1, 30))
    estimate = statistics.median_difference(ours, theirs)
    held.append(estimate.low <= 0 <= estimate.high)
  assert np.mean(held) >= 0.93


def test_the_same_numbers_have_the_same_interval_twice():
  values = np.random.default_rng(0).normal(size=(1, 30))
  assert statistics.mean(values) == statistics.mean(values)


@pytest.mark.parametrize("networks", [1, 2])
def test_few_images_or_networks_without_images_leave_no_interval(networks):
  few = np.random.default_rng(0).normal(size=(networks, 5))
  for estimate in (
    statistics.mean(few), statistics.median_difference(few, 2 * few),
    statistics.of_networks(few[:, 0]),
  ):  # fmt: skip
    assert (estimate.low, estimate.high) == (-np.inf, np.inf)
    assert "; " in estimate.over


def test_networks_without_images_have_students_interval():
  values = np.array([1.0, 2.0, 4.0])
  expected = stats.t.interval(0.95, 2, loc=values.mean(), scale=stats.sem(values))
  assert statistics.of_networks(values)[1:3] == pytest.approx(expected)
