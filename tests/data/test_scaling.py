import numpy as np
import pytest

from robust_saliency.data import check, load, rescaled


@pytest.mark.parametrize("bounds", [(-1, 1), (0.0, 255.0), (-0.5, 0.5)])
def test_pixels_move_linearly_onto_the_new_bounds(bounds):
  before, after = load("digits"), load("digits", bounds=bounds)
  assert after.bounds == bounds
  assert after.train.x is not before.train.x  # two loads
  expected = np.interp(before.to_float(before.test.x), (0, 1), bounds)
  np.testing.assert_allclose(after.to_float(after.test.x), expected, atol=1e-5)


def test_bytes_become_kim_s_pixels():
  # x / 127.5 - 1, as in the authors' code; MNIST's x * 2 - 1 is the same.
  digits = load("digits")
  bytes_of_all_values = np.arange(256, dtype=np.uint8)
  centred = rescaled(load_like_mnist(digits), (-1, 1))
  np.testing.assert_allclose(
    centred.to_float(bytes_of_all_values), bytes_of_all_values / 127.5 - 1, atol=2e-7
  )


def load_like_mnist(dataset):
  from dataclasses import replace

  return replace(dataset, scale=1 / 255)


def test_stored_arrays_are_shared_and_there_is_a_way_back():
  digits = load("digits")
  there = rescaled(digits, (-1, 1))
  back = rescaled(there, (0, 1))
  assert there.train.x is digits.train.x
  assert (back.scale, back.offset, back.bounds) == (digits.scale, digits.offset, digits.bounds)
  check(there)


def test_bounds_that_are_no_interval_are_refused():
  with pytest.raises(ValueError, match=r"bounds must be finite with low < high, got \(1.0, -1.0\)"):
    load("digits", bounds=(1, -1))
  with pytest.raises(ValueError, match="bounds must be a pair"):
    load("digits", bounds=1)
