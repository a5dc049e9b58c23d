"""The straight line nearest to a decision boundary in the plane, and its angle."""

import numpy as np


def crossings(margins: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Where a boundary crosses each row of a grid, straight between its points.

  Args:
    margins: of one class over the other [rows, columns], 0 on the boundary.
    first: the first coordinate of each column, ascending.
    second: the second coordinate of each row.

  Returns:
    Points [P, 2], one for each row with exactly one change of sign.

  >>> crossings(np.array([[-1.0, 3.0], [1.0, 1.0]]), np.array([0.0, 4.0]), np.array([5.0, 6.0]))
  array([[1., 5.]])
  """
  points = []
  for row, at in zip(margins, second, strict=True):
    (changes,) = np.nonzero(np.signbit(row[1:]) != np.signbit(row[:-1]))
    if len(changes) == 1:
      left = changes[0]
      share = row[left] / (row[left] - row[left + 1])
      points.append([first[left] + share * (first[left + 1] - first[left]), at])
  return np.array(points).reshape(-1, 2)


def tilt(points: np.ndarray) -> float:
  """The angle between a boundary's normal and the first axis, in degrees, 0 to 90.

  Args:
    points: of the boundary [P, 2]; the line through them leaves the least squares of the first
      coordinate.

  Returns:
    NaN where there are fewer than two.

  >>> round(tilt(np.array([[0.0, 0.0], [-0.5, 0.5], [0.5, -0.5]])), 6)
  45.0
  """
  if len(points) < 2 or np.ptp(points[:, 1]) == 0:
    return np.nan
  slope, _ = np.polyfit(points[:, 1], points[:, 0], 1)
  return float(np.degrees(np.arctan(abs(slope))))
