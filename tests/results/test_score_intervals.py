"""Score intervals against published examples, SciPy, and tests inverted by brute force."""

import numpy as np
import pytest
from scipy import optimize, stats

from robust_saliency.results.score_intervals import bonett_price, critical_value, tango, wilson

Z = critical_value(0.95)


@pytest.mark.parametrize(("right", "images"), [(0, 20), (7, 20), (20, 20), (985, 1000)])
def test_wilsons_interval_is_scipys(right, images):
  expected = stats.binomtest(right, images).proportion_ci(0.95, method="wilson")
  np.testing.assert_allclose(wilson(right, images, Z), [expected.low, expected.high], atol=1e-12)


def test_wilsons_interval_holds_the_share_itself_to_the_last_bit():
  images = np.arange(1, 400)
  assert (wilson(0 * images, images, Z)[0] == 0).all()
  assert (wilson(images, images, Z)[1] == 1).all()


def test_tangos_and_bonett_and_prices_intervals_are_those_of_a_published_example():
  # Complete response before and after consolidation (Cavo et al. 2012), of 161 patients 59 both,
  # 6 and 16 once, as in Fagerland, Lydersen & Laake, "Statistical analysis of contingency tables",
  # chapter 8.
  np.testing.assert_allclose(tango(6, 16, 161, Z), [-0.1240, -0.0054], atol=5e-5)
  np.testing.assert_allclose(bonett_price(59, 6, 16, Z), [0.7579, 0.9910], atol=5e-5)


def inverted(b, c, n, step=1e-3):
  """The differences that the score test does not reject, its nuisance found by an optimiser."""

  def statistic(difference):
    def unlikely(q):
      p = np.array([q + difference, q, 1 - 2 * q - difference])
      return -np.sum(np.array([b, c, n - b - c]) * np.log(np.maximum(p, 1e-300)))

    bounds = max(0, -difference), (1 - difference) / 2
    q = optimize.minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-9})
    return (b - c - n * difference) / np.sqrt(n * (2 * q.x + difference - difference**2))

  grid = np.arange(-1 + step, 1, step)
  kept = [difference for difference in grid if abs(statistic(difference)) <= Z]
  return kept[0], kept[-1]


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  ("b", "c", "n"), [(0, 0, 20), (1, 0, 20), (0, 20, 20), (3, 9, 40), (20, 1, 30)]
)
def test_tangos_interval_holds_what_its_test_does_not_reject(b, c, n):
  np.testing.assert_allclose(tango(b, c, n, Z), inverted(b, c, n), atol=2.1e-3)


def test_tangos_interval_turns_with_the_networks_and_takes_arrays():
  b, c = np.arange(5), np.arange(5)[::-1]
  low, high = tango(b, c, 10, Z)
  other_low, other_high = tango(c, b, 10, Z)
  np.testing.assert_allclose(low, -other_high, atol=1e-12)
  np.testing.assert_allclose(high, -other_low, atol=1e-12)
  assert low.shape == (5,)
  np.testing.assert_allclose([low[1], high[1]], tango(1, 3, 10, Z))


@pytest.mark.parametrize("p", [[0.5, 0.2, 0.1], [0.9, 0.03, 0.03], [0.3, 0.05, 0.3]])
def test_intervals_of_pairs_hold_the_truth_as_often_as_they_say(p):
  n = 60
  outcomes = [  # all tables that are at all likely, with their probabilities
    (both, b, c)
    for both in range(n + 1)
    for b in range(min(n - both, 32) + 1)
    for c in range(min(n - both - b, 32) + 1)
  ]
  both, b, c = np.array(outcomes).T
  weights = stats.multinomial.pmf(np.stack([both, b, c, n - both - b - c], 1), n, [*p, 1 - sum(p)])
  difference, ratio = p[1] - p[2], (p[0] + p[1]) / (p[0] + p[2])
  for (low, high), truth in (
    (tango(b, c, n, Z), difference), (bonett_price(both, b, c, Z), ratio),
  ):  # fmt: skip
    assert weights[(low <= truth) & (truth <= high)].sum() > 0.93


def test_networks_that_agree_everywhere_have_a_ratio_near_one_and_nobody_right_has_none():
  low, high = bonett_price(990, 0, 0, Z)
  assert 0.995 < low < 1 < high < 1.005
  assert np.isnan(bonett_price(0, 0, 0, Z)).all()
  assert np.isnan(wilson(0, 0, Z)).all()
  assert np.isnan(tango(0, 0, 0, Z)).all()
