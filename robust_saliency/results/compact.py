"""Arrays in as few bytes as what they say needs, for results that are kept in a repository."""

from collections.abc import Mapping

import numpy as np


def compact(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Rounds numbers to the eleven significant bits of a half float, and drops unused range.

  Whole numbers get the smallest type that holds them, without loss; those of one bit are
  compressed to one bit. Other numbers move by at most one part in 2048, whatever their size: where
  a half float is too narrow (the gradients of distilled networks are below 1e-20), a float32 is
  kept whose other bits are zero, which costs two bytes once it is compressed. Arrays of few numbers
  stay as they are, and so do those of few values, such as shares of ten, which compress as well.
  What has been compacted is not changed by it again.

  Args:
    arrays: name -> array, as a study has measured it.

  Returns:
    Arrays of the same shapes.

  >>> norms = np.geomspace(1e-30, 1, 5000)
  >>> small = compact({"correct": np.array([0, 1]), "norm": norms, "mean": norms[:2]})
  >>> [str(one.dtype) for one in small.values()]
  ['uint8', 'float32', 'float64']
  """
  return {name: _compact(np.asarray(array)) for name, array in arrays.items()}


# Elements of an array that is worth its bytes: correlations of three networks, say, whose spread is
# below what rounding leaves.
FEW = 2000
VALUES = 256  # different ones, which compress to a byte each at most


def _compact(array: np.ndarray) -> np.ndarray:
  if array.dtype.kind in "iu" and array.size:
    return array.astype(np.result_type(*map(np.min_scalar_type, (array.min(), array.max()))))
  if array.dtype.kind != "f" or array.size <= FEW or np.unique(array).size <= VALUES:
    return array
  with np.errstate(over="ignore", under="ignore"):
    near = rounded(array.astype(np.float32))
    half = near.astype(np.float16)
  if ((np.isfinite(array) != np.isfinite(near)) | ((array == 0) != (near == 0))).any():
    return array
  return half if np.array_equal(half, near, equal_nan=True) else near


def rounded(array: np.ndarray) -> np.ndarray:
  """The nearest numbers with a half float's significant bits; float32 as the array is.

  >>> float(rounded(np.array(1.0001, np.float32)))
  1.0
  """
  surplus = np.finfo(np.float32).nmant - np.finfo(np.float16).nmant
  bits = array.view(np.uint32)
  nearest = (bits + np.uint32(1 << (surplus - 1))) >> np.uint32(surplus) << np.uint32(surplus)
  # The bits of infinity or NaN would become those of another number.
  return np.where(np.isfinite(array), nearest.view(np.float32), array)
