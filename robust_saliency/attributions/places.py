"""Places: the pixels of an image, the positions of a signal, the columns of a table.

Methods that hide parts of an input work on images [B, H, W, C]. A signal [B, L, C] is to them an
image [B, L, 1, C], and a row of features [B, D] is one of [B, D, 1, 1].
"""

import numpy as np
from jax import Array

from robust_saliency.core import LogitsFn, checks

# A whole number for each side, or one for all.
Sides = int | tuple[int, int]

# As in RISE's paper.
CELLS = 7


def as_images(logits_fn: LogitsFn, x: Array) -> tuple[LogitsFn, Array]:
  """The same inputs as images [B, H, W, C], and the network as one of such images.

  Args:
    logits_fn: maps inputs of x's shape to logits [B, K].
    x: images [B, H, W, C], signals [B, L, C] or rows of features [B, D].

  Raises:
    ValueError: for other shapes.
  """
  shape = x.shape[1:]
  if len(shape) == 3:
    return logits_fn, x

  def of_images(images: Array) -> Array:
    return logits_fn(images.reshape(images.shape[0], *shape))

  return of_images, x.reshape(image_shape(x))


def image_shape(x: Array) -> tuple[int, int, int, int]:
  """The shape [B, H, W, C] of x as images."""
  return x.shape[0], *sides(x), x.shape[-1] if x.ndim > 2 else 1


def sides(x: Array) -> tuple[int, int]:
  """How many places x has from top to bottom and from left to right, as images.

  >>> sides(np.zeros((1, 28, 20, 3))), sides(np.zeros((1, 100, 3))), sides(np.zeros((1, 30)))
  ((28, 20), (100, 1), (30, 1))
  """
  if x.ndim not in (2, 3, 4):
    raise ValueError(
      "x must have shape [batch, height, width, channels], [batch, length, channels] or "
      f"[batch, features], got {x.shape}"
    )
  return x.shape[1], x.shape[2] if x.ndim == 4 else 1


def places(x: Array) -> tuple[int, ...]:
  """The shape of x's places: (H, W), (L,) or (D,), which labels of them have."""
  height, width = sides(x)
  return (height, width) if x.ndim == 4 else (height,)


def per_side(value: Sides | None, x: Array, *, argument: str, default: int) -> tuple[int, int]:
  """A whole number >= 1 for each of x's sides.

  Args:
    value: a pair (rows, columns) of images; a number counts for both, or for the one side of
      signals and rows of features; None is the default.
    x: images, signals or rows of features.
    argument: what the caller calls it.
    default: taken for None, or the side where that is shorter.

  Raises:
    ValueError, TypeError: for anything else.

  >>> per_side(None, np.zeros((1, 28, 3, 1)), argument="cells", default=7)
  (7, 3)
  """
  if value is None:
    height, width = (min(default, side) for side in sides(x))
    return height, width
  if isinstance(value, (int, np.integer)):
    checks.count(**{argument: value})
    return value, value if x.ndim == 4 else 1
  if x.ndim != 4 or not isinstance(value, (tuple, list)) or len(value) != 2:
    allowed = "a pair of whole numbers or one" if x.ndim == 4 else "a whole number"
    raise TypeError(f"{argument} must be {allowed}, got {checks.shown(value)}")
  for one in value:
    checks.count(**{argument: one})
  return value[0], value[1]


def cells_per_side(cells: Sides | None, x: Array) -> tuple[int, int]:
  """Into how many cells each of x's sides is cut.

  Args:
    cells: as in `per_side`; None for 7, or as many as there are pixels where there are fewer. Every
      column of rows of features is a cell of its own then.
    x: images, signals or rows of features.

  Raises:
    ValueError, TypeError: for more cells than places, or what is no positive integer.
  """
  counts = per_side(cells, x, argument="cells", default=x.shape[1] if x.ndim == 2 else CELLS)
  for count, side in zip(counts, sides(x), strict=True):
    if count > side:
      hint = "; a pair (rows, columns) gives each side its own" if x.ndim == 4 else ""
      raise ValueError(f"cells must be at most the pixels of a side, {side}, got {cells}{hint}")
  return counts
