import hashlib

import numpy as np
from sklearn.datasets import load_digits

from robust_saliency.data import load


def test_digits_are_scikit_learns_pixels_divided_by_16_each_exactly_once():
  bundle, digits = load_digits(), load("digits")
  x = np.concatenate([digits.train.x, digits.test.x])
  y = np.concatenate([digits.train.y, digits.test.y])
  ours = np.concatenate([digits.to_float(x).reshape(1797, 64), y[:, None]], axis=1)
  theirs = np.concatenate([bundle.data / 16, bundle.target[:, None]], axis=1)
  np.testing.assert_array_equal(sorted(map(tuple, ours)), sorted(map(tuple, theirs)))
  assert digits.to_float(x).max() == 1.0


def test_no_digit_stands_in_both_splits():
  digits = load("digits")
  train, test = ({image.tobytes() for image in split.x} for split in (digits.train, digits.test))
  assert not train & test


def test_the_split_is_stratified():
  digits = load("digits")
  everyone = np.bincount(load_digits().target)
  assert np.all(np.abs(np.bincount(digits.test.y) - everyone * 500 / 1797) < 1)
  assert (len(digits.train), len(digits.test)) == (1297, 500)


def test_the_split_never_changes():
  digits = load("digits")
  digest = hashlib.sha256(digits.test.x.tobytes() + digits.test.y.astype("<i4").tobytes())
  assert digest.hexdigest() == "3384f21cff168df8e9f7509f6ece16b914a3586d6fdf7054456559698fb8e150"
