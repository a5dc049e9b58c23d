"""Target maps that no network has made: what a map can teach without a teacher's knowledge.

Each is made for a data set, once, and then maps images of one of its splits, a chunk at a time.
"""

import functools
from collections.abc import Callable

import numpy as np

from robust_saliency.data import Dataset, Split
from robust_saliency.studies.sobel import sobel_magnitude

# (positions in the split [B], stored pixels [B, H, W, C], classes [B]) -> maps [B, H, W, C].
Control = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def image(dataset: Dataset, split: Split) -> Control:
  """The image itself."""
  del split
  return lambda numbers, x, y: dataset.to_float(x)


def edges(dataset: Dataset, split: Split) -> Control:
  """The size of the image's slope by Sobel's filters, see `sobel_magnitude`."""
  del split
  return lambda numbers, x, y: sobel_magnitude(dataset.to_float(x))


def class_mean(dataset: Dataset, split: Split) -> Control:
  """The mean of the training images of the image's class, minus the image.

  Source: after Ganz, Kawar & Elad 2023, "Do perceptually aligned gradients imply robustness?"
  (their class mean).
  """
  del split
  x, y = dataset.train.x, dataset.train.y
  means = np.zeros((len(dataset.classes), *dataset.image_shape), np.float32)
  for label in np.unique(y):
    # Of stored pixels, since a mean and an affine map may be exchanged.
    mean = x[y == label].mean(axis=0, dtype=np.float64)
    means[label] = mean * dataset.scale + dataset.offset
  return lambda numbers, x, y: means[y] - dataset.to_float(x)


def nearest_neighbour(dataset: Dataset, split: Split) -> Control:
  """The nearest other training image of the image's class, minus the image; 0 where there is none.

  Nearest in l2, of equals the first. Distances between stored bytes are exact.

  Source: after Ganz, Kawar & Elad 2023 (their nearest neighbour).
  """
  # For all images at the first call, class by class: a large product is much the faster one.
  nearest = functools.cache(lambda: _nearest(dataset.train, split))

  def maps(numbers: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    found = nearest()[numbers]
    neighbours = dataset.to_float(dataset.train.x[found])
    has_one = (found >= 0).reshape(-1, *[1] * (x.ndim - 1))
    return np.where(has_one, neighbours - dataset.to_float(x), np.float32(0))

  return maps


def _nearest(train: Split, split: Split, rows: int = 1000) -> np.ndarray:
  """The places of the images' nearest neighbours in the training split; -1 where there is none."""
  found = np.full(len(split), -1)
  for label in np.unique(split.y):
    others, own = np.flatnonzero(train.y == label), np.flatnonzero(split.y == label)
    if len(others) <= (split is train):
      continue
    theirs = train.x[others].reshape(len(others), -1).astype(np.float64)
    squares = (theirs**2).sum(axis=1)
    for part in np.split(own, range(rows, len(own), rows)):
      images = split.x[part].reshape(len(part), -1).astype(np.float64)
      # |a - b|^2 without |a|^2, which moves no minimum.
      distances = squares - 2 * images @ theirs.T
      if split is train:
        distances[others == part[:, None]] = np.inf
      found[part] = others[distances.argmin(axis=1)]
  return found


# Name -> control, as a study's `source` has it.
CONTROLS: dict[str, Callable[[Dataset, Split], Control]] = {
  "class_mean": class_mean,
  "nearest_neighbour": nearest_neighbour,
  "edges": edges,
  "image": image,
}
