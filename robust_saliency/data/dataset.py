"""A data set: its arrays, how its stored pixels become images, and the check of both."""

import json
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jax import Array

from robust_saliency.core import checks, files
from robust_saliency.core.types import Bounds

Pixels = TypeVar("Pixels", np.ndarray, Array)


@dataclass(frozen=True, eq=False)
class Split:
  """Examples that are used together.

  Attributes:
    x: stored pixels, uint8 or float32 [N, H, W, C].
    y: classes, int32 [N].
  """

  x: np.ndarray
  y: np.ndarray

  def __len__(self) -> int:
    return len(self.y)

  def take(self, indices: np.ndarray | slice) -> "Split":
    """The examples at these positions, in this order."""
    return Split(self.x[indices], self.y[indices])


@dataclass(frozen=True, eq=False)
class Dataset:
  """Arrays and their meaning.

  Pixels are kept as they are stored (bytes, mostly), so that a whole set fits on a device; an
  image is `stored * scale + offset`, which lies in `bounds`.

  Attributes:
    name: what `load` calls it.
    train: what training sees.
    validation: what early stopping and choices of hyper-parameters see; see `hold_out`.
    test: what the report measures on.
    classes: the names of the classes, in the order of the labels.
    scale: the float step of one stored unit.
    offset: the float pixel that a stored 0 stands for.
    bounds: (low, high) of the float pixels.

  >>> gray = Split(np.full((1, 2, 2, 1), 255, np.uint8), np.zeros(1, np.int32))
  >>> dataset = Dataset("gray", gray, None, gray, ("dark", "light"), scale=1 / 255)
  >>> dataset.to_float(gray.x).ravel().tolist()
  [1.0, 1.0, 1.0, 1.0]
  """

  name: str
  train: Split
  validation: Split | None
  test: Split
  classes: tuple[str, ...]
  scale: float = 1.0
  offset: float = 0.0
  bounds: Bounds = (0.0, 1.0)

  @property
  def splits(self) -> dict[str, Split]:
    """The splits that exist, by name."""
    named = {"train": self.train, "validation": self.validation, "test": self.test}
    return {name: split for name, split in named.items() if split is not None}

  def validation_for(self, what: str) -> Split:
    """The validation split, which something needs.

    Args:
      what: what needs it, as a refusal says it: "early stopping".

    Raises:
      ValueError: if there is none.
    """
    if self.validation is None:
      raise ValueError(
        f"{what} needs a validation split, which {self.name} has not; hold one out with "
        "dataset.validation=EXAMPLES"
      )
    return self.validation

  def split_for(self, what: str, name: str) -> Split:
    """The split of a name, which something needs.

    Args:
      what: what needs it, as of `validation_for`.
      name: "train", "validation" or "test".

    Raises:
      ValueError: if there is no validation split, and it is the one.
    """
    if name == "validation":
      return self.validation_for(what)
    return self.splits[name]

  @property
  def image_shape(self) -> tuple[int, ...]:
    """(H, W, C)."""
    return self.train.x.shape[1:]

  def to_float(self, x: Pixels) -> Pixels:
    """Stored pixels as float32 images within `bounds`.

    Args:
      x: stored pixels of any shape; a NumPy or a JAX array, also inside `jit`, where the set
        stays on the device in its small form.

    Returns:
      x * scale + offset, float32, of the same kind and shape.
    """
    return x.astype(np.float32) * np.float32(self.scale) + np.float32(self.offset)


def check(dataset: Dataset) -> None:
  """Refuses a data set whose arrays do not mean what its fields say.

  Raises:
    TypeError: where pixels are neither uint8 nor float32, or labels are not int32.
    ValueError: for an empty split, shapes that do not fit, labels outside the classes, two classes
      of one name, pixels that are NaN, infinite or outside the bounds, a scale that is not
      positive, bounds that are no interval. The sentence names the set, the split and the value.

  >>> images = Split(np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 10], np.int32))
  >>> check(Dataset("digits", images, None, images, tuple("0123456789")))
  Traceback (most recent call last):
  ValueError: digits, train: y must hold classes 0 to 9, got 10
  """
  checks.positive(scale=dataset.scale)
  checks.pixel_bounds(dataset.bounds)
  if len(set(dataset.classes)) < len(dataset.classes):
    twice = next(name for name in dataset.classes if dataset.classes.count(name) > 1)
    raise ValueError(f"{dataset.name}: classes must have names that differ, two are {twice!r}")
  for name, split in dataset.splits.items():
    where = f"{dataset.name}, {name}"
    _check_shapes(where, split, dataset.image_shape)
    _check_labels(where, split.y, len(dataset.classes))
    _check_pixels(where, split.x, dataset)


def digest_of_dataset(dataset: Dataset) -> str:
  """SHA-256 over every split's pixels and labels, and what they mean."""
  parts = [json.dumps([dataset.classes, dataset.scale, dataset.offset, dataset.bounds])]
  for name, split in dataset.splits.items():
    parts += [f"{name} {files.digest_of_array(array)}" for array in (split.x, split.y)]
  return files.digest("\n".join(parts).encode())


def _check_shapes(where: str, split: Split, image_shape: tuple[int, ...]) -> None:
  x, y = split.x, split.y
  if x.ndim != 4 or x.size == 0:
    raise ValueError(f"{where}: x must hold images [N, H, W, C], at least one, got shape {x.shape}")
  if x.shape[1:] != image_shape:
    raise ValueError(
      f"{where}: x must hold images of the training set's shape {image_shape}, got {x.shape[1:]}"
    )
  if y.shape != (len(x),):
    raise ValueError(f"{where}: y must hold one class per image, shape ({len(x)},), got {y.shape}")


def _check_labels(where: str, y: np.ndarray, classes: int) -> None:
  if y.dtype != np.int32:
    raise TypeError(f"{where}: y must be int32, got {y.dtype}")
  outside = y[(y < 0) | (y >= classes)]
  if outside.size:
    raise ValueError(f"{where}: y must hold classes 0 to {classes - 1}, got {outside[0]}")


def _check_pixels(where: str, x: np.ndarray, dataset: Dataset) -> None:
  if x.dtype not in (np.uint8, np.float32):
    raise TypeError(f"{where}: x must be uint8 or float32, got {x.dtype}")
  # The extremes tell all: they are NaN where any pixel is, and `to_float` keeps their order.
  extremes = np.array([x.min(), x.max()])
  if not np.isfinite(extremes).all():
    position = tuple(map(int, np.argwhere(~np.isfinite(x))[0]))
    raise ValueError(f"{where}: x must be finite, got {x[position]} at {list(position)}")
  low, high = dataset.to_float(extremes)
  allowed_low, allowed_high = dataset.bounds
  tolerance = checks.BOUNDS_TOLERANCE
  if not (low >= allowed_low - tolerance and high <= allowed_high + tolerance):
    raise ValueError(
      f"{where}: pixels must lie within bounds {dataset.bounds}, "
      f"got values from {low:.6g} to {high:.6g}"
    )
