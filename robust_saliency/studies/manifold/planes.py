"""The plane nearest to some images: a manifold that needs no training and no random numbers."""

from typing import NamedTuple

import numpy as np


class Plane(NamedTuple):
  """An affine subspace.

  Attributes:
    mean: of the images it was fitted to, float64 [D].
    directions: orthonormal, float64 [k, D], that of the largest variance first.
  """

  mean: np.ndarray
  directions: np.ndarray

  def distance(self, images: np.ndarray) -> np.ndarray:
    """The l2 distance of images [N, ...] from it, float64 [N].

    >>> Plane(np.zeros(2), np.array([[1.0, 0.0]])).distance(np.array([[3.0, 4.0]])).tolist()
    [4.0]
    """
    rest = images.reshape(len(images), -1) - self.mean
    return np.linalg.norm(rest - (rest @ self.directions.T) @ self.directions, axis=1)


def principal_plane(images: np.ndarray, components: int) -> Plane:
  """The plane that leaves the least squares of images, by principal component analysis.

  Args:
    images: [N, ...].
    components: its dimension k, at most D.

  Raises:
    ValueError: for more components than numbers in an image.
  """
  flat = images.reshape(len(images), -1).astype(np.float64)
  if not 1 <= components <= flat.shape[1]:
    raise ValueError(f"components must be between 1 and {flat.shape[1]}, got {components}")
  mean = flat.mean(axis=0)
  flat -= mean
  _, directions = np.linalg.eigh(flat.T @ flat)
  return Plane(mean, directions.T[::-1][:components])


def share_inside(vectors: np.ndarray, bases: np.ndarray) -> np.ndarray:
  """The share of vectors' squared lengths that lies in subspaces.

  Args:
    vectors: [N, D].
    bases: orthonormal, [k, D] for all or [N, k, D] for each.

  Returns:
    Float64 [N], 0 to 1; NaN for vectors of length 0. A random vector has k / D.

  >>> share_inside(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[0.0, 1.0]])).round(2).tolist()
  [0.64, nan]
  """
  vectors = vectors.astype(np.float64)
  largest = np.abs(vectors).max(axis=1, keepdims=True)
  with np.errstate(divide="ignore", invalid="ignore"):
    vectors = vectors / largest  # whose squares do not underflow
    inside = np.einsum("...kd,...d->...k", bases, vectors)
    return (inside**2).sum(axis=1) / (vectors**2).sum(axis=1)
