import numpy as np
import pytest
from scipy import stats

from robust_saliency.report import intervals


@pytest.mark.parametrize(("right", "examples"), [(0, 20), (7, 20), (20, 20), (985, 1000)])
def test_one_seed_gives_wilsons_interval_as_scipy_computes_it(right, examples):
  correct = np.arange(examples)[None] < right
  expected = stats.binomtest(right, examples).proportion_ci(0.95, method="wilson")
  got = intervals.accuracy(correct)
  np.testing.assert_allclose(
    [got.mean, got.low, got.high], [right / examples, expected.low, expected.high], atol=1e-12
  )


def test_several_seeds_give_students_interval_as_scipy_computes_it():
  counts = np.array([[60, 63, 70], [40, 50, 45]])
  correct = np.arange(100) < counts[..., None]
  got = intervals.accuracy(correct)
  for m, seeds in enumerate(counts / 100):
    expected = stats.ttest_1samp(seeds, 0).confidence_interval(0.95)
    np.testing.assert_allclose([got.low[m], got.high[m]], expected, rtol=1e-12)
    np.testing.assert_allclose(got.mean[m], seeds.mean())


def test_intervals_stay_within_zero_and_one():
  got = intervals.accuracy(np.arange(4) < np.array([4, 1])[:, None])
  assert (got.low, got.high) == (0, 1)


def test_equal_seeds_give_an_interval_without_width():
  got = intervals.accuracy(np.ones((3, 5), bool))
  assert (got.mean, got.low, got.high) == (1, 1, 1)
