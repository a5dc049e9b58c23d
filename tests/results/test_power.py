"""How many networks would decide a claim, against SciPy's t, searched one by one, and trainings."""

import numpy as np
import pytest
from scipy import stats

from robust_saliency import results
from robust_saliency.results.estimate import Estimate
from robust_saliency.results.power import (
  ENOUGH,
  networks_to_decide,
  power,
  seed_spread,
  smallest_found,
  units_needed,
)


def test_without_images_it_is_the_first_number_whose_t_interval_is_short_enough():
  random = np.random.default_rng(0)
  for _ in range(10):
    values = random.normal(0.06, 0.08, 5)
    estimate, spread = results.of_networks(values), seed_spread(values)
    distance = abs(values.mean())
    expected = 6
    while stats.t.isf(0.025, expected - 1) * values.std(ddof=1) / np.sqrt(expected) >= distance:
      expected += 1
      if expected > 1000:
        expected = None
        break
    found = networks_to_decide(estimate, spread=spread, distance=distance, images=np.inf)
    assert found == expected


def test_images_add_what_no_number_of_networks_takes_away():
  random = np.random.default_rng(1)
  hard = random.normal(0, 1.5, 400)
  correct = random.random((5, 400)) < 1 / (1 + np.exp(-hard - random.normal(0, 0.3, (5, 1))))
  estimate, spread = results.share(correct), seed_spread(correct.mean(axis=1))
  b = correct.mean(axis=0).var(ddof=1) / 400

  def half_width(n):
    a = spread**2 / n
    freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / 399)
    return stats.t.isf(0.025, freedom) * np.sqrt(a + b)

  assert half_width(5) == pytest.approx((estimate.high - estimate.low) / 2)
  for distance in (0.95, 0.85, 0.8):
    distance *= half_width(5)
    expected = next((n for n in range(6, 1001) if half_width(n) < distance), None)
    found = networks_to_decide(estimate, spread=spread, distance=distance, images=400, of_images=b)
    assert found == expected
  least = 1.9 * np.sqrt(b)
  never = networks_to_decide(estimate, spread=spread, distance=least, images=400, of_images=b)
  assert never is None


@pytest.mark.parametrize(("networks", "of_images"), [(3, 7e-5), (3, 2e-4), (5, 1e-5)])
def test_what_images_add_is_found_in_an_interval_that_networks_decide(networks, of_images):
  spread, images, distance = 0.053, 2000, 0.034

  def half_width(n):
    a, b = spread**2 / n, of_images
    freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (images - 1))
    return stats.t.isf(0.025, freedom) * np.sqrt(a + b)

  estimate = Estimate(0.0, -half_width(networks), half_width(networks), "", networks)
  expected = next(n for n in range(networks + 1, 1001) if half_width(n) < distance)
  found = networks_to_decide(estimate, spread=spread, distance=distance, images=images)
  assert found == pytest.approx(expected, abs=1)


def test_so_many_networks_decide_half_of_the_time():
  # As said: were mean and spread to stay, so that about every second such experiment decides.
  random = np.random.default_rng(2)
  estimate = results.of_networks(0.05 + 0.08 * np.sqrt(4 / 5) * np.array([-1.0, 1, 0, -1, 1]))
  n = networks_to_decide(estimate, spread=0.08, distance=0.05, images=np.inf)
  low = [results.of_networks(random.normal(0.05, 0.08, n)).low > 0 for _ in range(400)]
  assert 0.4 < np.mean(low) < 0.65


@pytest.mark.parametrize("networks", [1, 2])
def test_one_or_two_networks_tell_nothing_of_others(networks):
  spread = seed_spread(np.arange(networks) / 10)
  assert np.isnan(spread)
  estimate = results.share(np.arange(100)[None].repeat(networks, 0) < 50)
  assert networks_to_decide(estimate, spread=spread, distance=0.01, images=100) is None


# Cohen 1988, table 2.3.5 (two-sided 5 %, of one sample with n = 2 n' - 1 or as in G*Power).
@pytest.mark.parametrize(("effect", "units", "expected"), [(0.5, 34, 0.808), (0.8, 15, 0.821)])
def test_power_is_that_of_published_tables(effect, units, expected):
  assert power(effect, spread=1.0, units=units) == pytest.approx(expected, abs=1e-3)
  assert power(-2 * effect, spread=2.0, units=units) == pytest.approx(expected, abs=1e-3)


def test_power_is_how_often_scipys_test_finds_the_effect():
  random = np.random.default_rng(3)
  for units, effect in ((6, 1.0), (20, 0.4)):
    samples = random.normal(effect, 1.0, (4000, units))
    found = (stats.ttest_1samp(samples, 0, axis=1).pvalue <= 0.05).mean()
    assert power(effect, spread=1.0, units=units) == pytest.approx(found, abs=0.025)


def test_what_is_needed_and_what_is_found_are_where_the_power_is_enough():
  effect = smallest_found(spread=0.2, units=12)
  assert power(effect, spread=0.2, units=12) == pytest.approx(ENOUGH)
  needed = units_needed(0.1, spread=0.2)
  assert power(0.1, spread=0.2, units=needed) >= ENOUGH > power(0.1, spread=0.2, units=needed - 1)


def test_power_is_not_known_of_one_or_of_equals_and_is_1_far_away():
  assert np.isnan(power(0.1, spread=0.2, units=1))
  assert np.isnan(power(0.1, spread=0.0, units=9))
  assert np.isnan(smallest_found(spread=np.nan, units=9))
  assert units_needed(0.1, spread=np.nan) is None
  assert units_needed(0.0, spread=0.2) is None
  assert power(1e3, spread=1e-3, units=9) == 1
