"""The embedded data set: handwritten digits that come with scikit-learn, no network needed."""

import numpy as np

from robust_saliency.data.dataset import Dataset, Split
from robust_saliency.data.splitting import stratified

TEST_EXAMPLES = 500
SPLIT_SEED = 0  # part of what "digits" means: results on another split are not comparable


def digits() -> Dataset:
  """1,797 real 8x8 digits of 13 writers; 1,297 to train on, 500 to test on.

  A pixel counts the ink in a 4x4 block of the original bitmap, 0 to 16, and its float form is
  that count / 16. The split is stratified and fixed; it does not separate the writers, whom the
  set does not name.

  Source: Kaynak 1995, the test part of UCI's "Optical recognition of handwritten digits", as in
  `sklearn.datasets.load_digits`.

  >>> digits().test.x.shape
  (500, 8, 8, 1)
  """
  # Imported here: scikit-learn takes longer to import than the digits to load.
  from sklearn.datasets import load_digits

  bundle = load_digits()
  everything = Split(bundle.images[..., None].astype(np.uint8), bundle.target.astype(np.int32))
  train, test = stratified(everything.y, TEST_EXAMPLES, SPLIT_SEED)
  return Dataset(
    name="digits",
    train=everything.take(train),
    validation=None,
    test=everything.take(test),
    classes=tuple("0123456789"),
    scale=1 / 16,
  )
