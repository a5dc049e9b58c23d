import numpy as np
import pytest

from robust_saliency.core import files
from robust_saliency.results.compact import compact


def compacted(array):
  return compact({"array": np.asarray(array)})["array"]


def test_whole_numbers_lose_nothing_and_take_the_smallest_type():
  for largest, dtype in ((1, "uint8"), (300, "uint16"), (70_000, "uint32")):
    values = np.array([0, largest])
    assert compacted(values).dtype == dtype
    np.testing.assert_array_equal(compacted(values), values)
  np.testing.assert_array_equal(compacted(np.array([-1, 1])), [-1, 1])


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e4, 1e30])
def test_numbers_of_any_size_keep_eleven_significant_bits(scale):
  values = scale * np.random.default_rng(0).standard_normal(10_000).astype(np.float32)
  error = np.abs(compacted(values).astype(np.float64) - values)
  assert np.all(error <= 2.0**-11 * np.abs(values))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_is_zero_infinite_or_not_a_number_stays_so_and_nothing_else_becomes_it(dtype):
  largest = np.finfo(dtype).max
  smallest = np.finfo(dtype).tiny
  values = np.array([0.0, np.nan, np.inf, -np.inf, largest, -largest, smallest], dtype)
  values = np.tile(values, 1000)
  kept = compacted(values)
  for holds in (np.isnan, np.isinf, np.signbit, lambda array: array == 0):
    np.testing.assert_array_equal(holds(kept), holds(values))


def test_compacting_twice_changes_nothing():
  values = np.exp(np.random.default_rng(1).uniform(-60, 60, 10_000)).astype(np.float32)
  np.testing.assert_array_equal(compacted(compacted(values)), compacted(values))


def test_verdicts_take_little_more_than_a_bit_each_and_gradient_norms_less_than_three_bytes():
  random = np.random.default_rng(2)
  verdicts = random.integers(0, 2, 80_000)
  norms = np.exp(random.uniform(-70, 0, 20_000)).astype(np.float32)
  assert len(files.npz(compact({"verdicts": verdicts}))) < 1.4 * 80_000 / 8
  assert len(files.npz(compact({"norms": norms}))) < 3 * 20_000


def test_a_few_numbers_keep_a_spread_that_eleven_bits_would_lose():
  correlations = np.array([0.9912, 0.9911, 0.9913])
  (kept,) = compact({"rank_correlation": correlations}).values()
  np.testing.assert_array_equal(kept, correlations)
