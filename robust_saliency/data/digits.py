"""The embedded data set: handwritten digits that come with scikit-learn, no network needed."""

import importlib.util
from pathlib import Path

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
  table = _table()
  everything = Split(
    table[:, :-1].reshape(-1, 8, 8, 1).astype(np.uint8), table[:, -1].astype(np.int32)
  )
  train, test = stratified(everything.y, TEST_EXAMPLES, SPLIT_SEED)
  return Dataset(
    name="digits",
    train=everything.take(train),
    validation=None,
    test=everything.take(test),
    classes=tuple("0123456789"),
    scale=1 / 16,
  )


def _table() -> np.ndarray:
  """Sixty-four pixels and the class of each image [1797, 65].

  scikit-learn takes longer to import than everything else that a start waits for but JAX, and its
  function only reads this file.
  """
  package = importlib.util.find_spec("sklearn")
  if package is not None and package.origin is not None:
    path = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    if path.is_file():
      return np.loadtxt(path, delimiter=",")
  from sklearn.datasets import load_digits  # where another release keeps it elsewhere

  bundle = load_digits()
  return np.column_stack([bundle.data, bundle.target])
