"""Class maps that know no network: how pixels vary, and how they tell classes apart."""

from collections.abc import Callable

import numpy as np

from robust_saliency.data import Dataset

# A data set -> what each pixel counts for each class [K, H, W], and for all of them [H, W].
Control = Callable[[Dataset], tuple[np.ndarray, np.ndarray]]


def variance(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
  """The pixels' variance over the training images of a class, and over all, summed over channels.

  With digits in the middle of their images any sensible map of all classes finds the middle, and so
  does this one.
  """
  counts, means, squares = _moments(dataset)
  of_classes = squares / np.maximum(counts, 1)[:, None]
  overall = (squares.sum(axis=0) + _between(counts, means)) / counts.sum()
  unit = dataset.scale**2
  return _as_maps(dataset, of_classes * unit), _as_maps(dataset, overall * unit)


def anova_f(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
  """How well a pixel alone tells a class from the others, and all classes apart: ANOVA's F.

  F is the variance between groups over that within them, summed over channels: over two groups, a
  class and the rest, and over as many groups as there are classes. Pixels that never vary have 0;
  one that tells them apart without fail has the largest number of the others.
  """
  counts, means, squares = _moments(dataset)
  between = _between(counts, means)
  total = squares.sum(axis=0) + between
  classes, images = len(counts), counts.sum()
  overall = _f(between, squares.sum(axis=0), classes, images)
  of_classes = []
  for c in range(classes):
    others = np.delete(np.arange(classes), c)
    rest = counts[others].sum()
    pair = np.stack([means[c], counts[others] @ means[others] / max(rest, 1)])
    apart = _between(np.array([counts[c], rest]), pair)
    of_classes.append(_f(apart, total - apart, 2, images))
  return _as_maps(dataset, np.array(of_classes)), _as_maps(dataset, overall)


# Name -> control; "random" is drawn for each network, feature by feature.
RANDOM = "random"
CONTROLS: dict[str, Control] = {"variance": variance, "anova_f": anova_f}


def _moments(dataset: Dataset, rows: int = 5000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Of each class's training images, in stored units: number [K], means, sums of squares [K, P]."""
  x, y = dataset.train.x, dataset.train.y
  classes, size = len(dataset.classes), int(np.prod(dataset.image_shape))
  counts = np.bincount(y, minlength=classes).astype(np.float64)
  means, squares = np.zeros((classes, size)), np.zeros((classes, size))
  for add in ("means", "squares"):
    for first in range(0, len(x), rows):
      part, labels = x[first : first + rows].reshape(-1, size), y[first : first + rows]
      # Of stored pixels, whose sums are exact where they are bytes.
      pixels = part.astype(np.float64)
      member = (labels == np.arange(classes)[:, None]).astype(np.float64)
      if add == "means":
        means += member @ pixels / np.maximum(counts, 1)[:, None]
      else:
        squares += member @ (pixels - means[labels]) ** 2
  return counts, means, squares


def _between(counts: np.ndarray, means: np.ndarray) -> np.ndarray:
  """The sum over all images of the squares of their groups' means around the mean of all [P]."""
  return counts @ (means - counts @ means / counts.sum()) ** 2


def _f(between: np.ndarray, within: np.ndarray, groups: int, images: float) -> np.ndarray:
  """ANOVA's F [P]; 0 where nothing varies, the largest finite one where nothing varies within."""
  # What rounding leaves of a constant is no variance.
  varies = between + within > 1e-12 * images
  certain = varies & (within <= 1e-12 * between)
  ordinary = varies & ~certain
  ratio = between * (images - groups) / np.where(ordinary, within * (groups - 1), 1)
  found = np.where(ordinary, ratio, 0.0)
  return np.where(certain, found.max(initial=0.0), found)


def _as_maps(dataset: Dataset, values: np.ndarray) -> np.ndarray:
  """Values of scalars [..., H W C], summed over channels, as maps [..., H, W]."""
  return values.reshape(*values.shape[:-1], *dataset.image_shape).sum(axis=-1)
