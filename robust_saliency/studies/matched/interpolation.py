"""A curve of networks, read where another network lies."""

import itertools

import numpy as np


def weights_at(value: float, places: np.ndarray) -> np.ndarray:
  """The weights [R, P] with which points of a curve make up a value, wherever the curve takes it.

  Args:
    value: where the curve is read.
    places: of its points [P], in the curve's own order; it is straight between neighbours. It may
      turn back, and then takes a value more than once.

  Returns:
    R rows that sum to 1, of which two neighbours at most are above 0. No row where the value lies
    beyond all points, or a place is NaN: nothing is extrapolated.

  >>> weights_at(0.25, np.array([1.0, 0.0, 2.0])).tolist()
  [[0.25, 0.75, 0.0], [0.0, 0.875, 0.125]]
  >>> weights_at(3.0, np.array([1.0, 0.0, 2.0])).tolist()
  []
  """
  points, rows = np.eye(len(places)), []
  if np.isfinite(places).all():
    for i, (start, end) in enumerate(itertools.pairwise(places)):
      if min(start, end) <= value <= max(start, end):
        shares = (0.0, 1.0) if start == end else [(value - start) / (end - start)]
        rows += [(1 - share) * points[i] + share * points[i + 1] for share in shares]
  return np.reshape(rows, (-1, len(places)))


def gap(right: np.ndarray, value: float, curve: np.ndarray, places: np.ndarray) -> np.ndarray:
  """What each image adds to a network's accuracy above the curve's at the same place.

  Args:
    right: whether the network is right, [example].
    value: where it lies.
    curve: the same of the curve's networks, [P, example].
    places: where they lie, [P]; where the curve takes the value more than once, it is read where
      it is most accurate.

  Returns:
    Float [example], whose mean is the gap; NaN where the curve does not reach so far.

  >>> gap(np.array([1, 1]), 0.5, np.array([[1, 0], [0, 0]]), np.array([0.0, 1.0])).tolist()
  [0.5, 1.0]
  """
  readings = weights_at(value, places) @ np.asarray(curve, np.float64)
  if not len(readings):
    return np.full(np.shape(right), np.nan)
  return np.asarray(right, np.float64) - readings[readings.mean(axis=1).argmax()]
