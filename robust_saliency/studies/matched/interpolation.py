"""A curve of networks, read where another network lies."""

import numpy as np


def weights_at(value: float, places: np.ndarray) -> np.ndarray:
  """The weights [P] with which points of a curve, straight between neighbours, make up a value.

  Args:
    value: where the curve is read.
    places: of its points [P], in any order.

  Returns:
    Weights that sum to 1, at most two of them above 0; NaN where the value lies beyond all points,
    or a place is NaN: nothing is extrapolated.

  >>> weights_at(0.25, np.array([1.0, 0.0, 2.0])).tolist()
  [0.25, 0.75, 0.0]
  >>> weights_at(3.0, np.array([1.0, 0.0, 2.0])).tolist()
  [nan, nan, nan]
  """
  if not (np.isfinite(places).all() and places.min() <= value <= places.max()):
    return np.full(len(places), np.nan)
  order = np.argsort(places, kind="stable")
  of_each = [np.interp(value, places[order], one) for one in np.eye(len(places))]
  weights = np.empty(len(places))
  weights[order] = of_each
  return weights


def gap(right: np.ndarray, value: float, curve: np.ndarray, places: np.ndarray) -> np.ndarray:
  """What each image adds to a network's accuracy above the curve's at the same place.

  Args:
    right: whether the network is right, [example].
    value: where it lies.
    curve: the same of the curve's networks, [P, example].
    places: where they lie, [P].

  Returns:
    Float [example], whose mean is the gap; NaN where the curve does not reach so far.

  >>> gap(np.array([1, 1]), 0.5, np.array([[1, 0], [0, 0]]), np.array([0.0, 1.0])).tolist()
  [0.5, 1.0]
  """
  return np.asarray(right, np.float64) - weights_at(value, places) @ np.asarray(curve, np.float64)
