"""What the score loses when a part of the image is hidden."""

import math
from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.arguments import baseline_images, check_arguments
from robust_saliency.attributions.local.superpixels import (
  Segments,
  get_segments,
  grid,
  labels_of_images,
)
from robust_saliency.attributions.places import Sides, as_images, per_side, sides
from robust_saliency.attributions.registry import attribution
from robust_saliency.attributions.scores import Score, get_score
from robust_saliency.core import (
  Bounds,
  Key,
  LogitsFn,
  checks,
  fold_samples,
  full_precision,
  map_batches,
)
from robust_saliency.core.tracing import floating, widened

# Pixels, of signals positions; columns of a table have no neighbours.
_WINDOW, _STRIDE = 4, 2


@attribution(signed=True)
@full_precision
def occlusion(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  window: Sides | None = None,
  stride: Sides | None = None,
  baseline: Array | float = 0.0,
  score: str | Score = "logit",
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> Array:
  """score(x) - score(x with a window hidden), averaged over the windows that hide a pixel.

  Windows start at every `stride`-th pixel until one reaches the border, where it is cut off.

  Args:
    key: not used; there so that this is an attribution like any other.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C], signals [B, L, C], or rows of features [B, D].
    y: the classes to explain, int [B].
    window: height and width of what is hidden, or one number for both (static), or the length of a
      signal's part; all channels are hidden together. None for 4 pixels, or the side where it is
      shorter, and for a single column of rows.
    stride: pixels from one window to the next, at most `window` (static); None for 2, or 1 where
      the window is no larger.
    baseline: what hidden pixels become: a number, an image or one per example.
    score: as in `gradient`.
    chunk_size: images per model call (static); None hides one window of every image at a time.
    unroll: see `smoothgrad`.

  Returns:
    Maps of x's shape, signed, the same in each channel.

  Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section
  4.2; overlapping windows are averaged as in captum.

  >>> import jax
  >>> occlusion(jax.random.key(0), lambda x: 3 * x[:, 0, :, 0], jnp.ones((1, 1, 2, 1)),
  ...           jnp.array([0]), window=1, stride=1)[..., 0].tolist()
  [[[3.0, 0.0]]]
  """
  logits_fn = floating(logits_fn)
  x = check_arguments(logits_fn, x, y)
  shape, start = x.shape, baseline_images(baseline, x)
  windows, strides = _windows(window, stride, x)
  lengths = sides(x)
  logits_fn, x = as_images(logits_fn, x)
  places = [
    math.ceil((side - size) / step) + 1
    for side, size, step in zip(lengths, windows, strides, strict=True)
  ]

  def inside(number: Array, axis: int) -> Array:
    starts = number[:, None] * strides[axis]
    pixels = jnp.arange(lengths[axis])[None]
    return (pixels >= starts) & (pixels < starts + windows[axis])

  def hidden(numbers: Array) -> Array:
    rows, columns = inside(numbers // places[1], 0), inside(numbers % places[1], 1)
    return (rows[:, :, None] & columns[:, None, :])[..., None]

  total = _fold_losses(
    logits_fn,
    x,
    y,
    hidden,
    features=places[0] * places[1],
    start=start.reshape(x.shape),
    score=score,
    chunk_size=chunk_size,
    unroll=unroll,
  )
  vertically, horizontally = (
    jnp.sum(inside(jnp.arange(places[axis]), axis), axis=0) for axis in (0, 1)
  )
  counts = jnp.outer(vertically, horizontally)[None, :, :, None]
  maps = total / counts.astype(total.dtype)
  return jnp.broadcast_to(maps, x.shape).reshape(shape).astype(x.dtype)


@attribution(signed=True)
@full_precision
def feature_ablation(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  segments: Segments = grid,
  num_segments: int | None = None,
  bounds: Bounds = (0.0, 1.0),
  baseline: Array | float = 0.0,
  score: str | Score = "logit",
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> Array:
  """score(x) - score(x with a segment hidden), at every pixel of the segment.

  Args:
    key: not used; there so that this is an attribution like any other.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within `bounds`, signals [B, L, C], or rows of features [B, D].
    y: the classes to explain, int [B].
    segments: labels 0 .. d - 1, int [H, W] or [B, H, W] ([L] or [B, L] of signals, [D] or [B, D]
      of rows), or a segmentation or its name, see `superpixels`. The default is a grid of 7 x 7
      cells, 7 parts of a signal, and every column of rows by itself.
    num_segments: d (static); needed only where the labels are traced.
    bounds: (low, high) of the pixels.
    baseline: what hidden pixels become: a number, an image or one per example.
    score: as in `gradient`.
    chunk_size: images per model call (static); None hides one segment of every image at a time.
    unroll: see `smoothgrad`.

  Returns:
    Maps of x's shape, signed, the same throughout a segment.

  Source: the name and the definition are captum's `FeatureAblation`.

  >>> import jax
  >>> import numpy as np
  >>> feature_ablation(jax.random.key(0), lambda x: x[:, 0, :, 0] * jnp.array([3.0, 1.0]),
  ...                  jnp.ones((1, 1, 2, 1)), jnp.array([0]), segments=np.array([[0, 0]])
  ...                  )[..., 0].tolist()
  [[[3.0, 3.0]]]
  """
  logits_fn = floating(logits_fn)
  checks.pixel_bounds(bounds)
  x = check_arguments(logits_fn, x, y, bounds=bounds)
  shape, start = x.shape, baseline_images(baseline, x)
  labels, features = get_segments(segments, x, num_segments, bounds=bounds)
  labels = labels_of_images(labels, x)
  logits_fn, x = as_images(logits_fn, x)

  def hidden(numbers: Array, labels: Array) -> Array:
    return (labels == numbers[:, None, None])[..., None]

  total = _fold_losses(
    logits_fn,
    x,
    y,
    hidden,
    jnp.broadcast_to(jnp.asarray(labels), x.shape[:3]),
    features=features,
    start=start.reshape(x.shape),
    score=score,
    chunk_size=chunk_size,
    unroll=unroll,
  )
  return jnp.broadcast_to(total, x.shape).reshape(shape).astype(x.dtype)


def _fold_losses(
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  hidden: Callable[..., Array],
  *arrays: Array,
  features: int,
  start: Array,
  score: str | Score,
  chunk_size: int | None,
  unroll: bool | int | None,
) -> Array:
  """Sums, at each pixel, what the score loses by each feature that hides it: [B, H, W, 1].

  `hidden(numbers [R], *arrays of R rows)` says which pixels a feature hides, bool [R, H, W, 1].
  """
  score_function = get_score(score)

  def score_of(images: Array, classes: Array) -> Array:
    return widened(score_function(logits_fn(images), classes))

  def loss(
    numbers: Array, images: Array, start: Array, classes: Array, whole: Array, *arrays: Array
  ) -> Array:
    hides = hidden(numbers, *arrays)
    losses = whole - score_of(jnp.where(hides, start, images), classes)
    return jnp.where(hides, losses[:, None, None, None], 0)

  checks.unrolled(unroll)
  whole = map_batches(score_of, x, y, chunk_size=chunk_size)
  return fold_samples(
    loss,
    x,
    start,
    y,
    whole,
    *arrays,
    samples=features,
    chunk_size=chunk_size,
    unroll=unroll,
  )


def _windows(
  window: Sides | None, stride: Sides | None, x: Array
) -> tuple[tuple[int, int], tuple[int, int]]:
  """Height and width of the windows, and of the steps between them."""
  height, width = sides(x)
  size = per_side(window, x, argument="window", default=1 if x.ndim == 2 else _WINDOW)
  step = per_side(stride, x, argument="stride", default=_STRIDE)
  if stride is None:
    step = min(step[0], size[0]), min(step[1], size[1])
  if size[0] > height or size[1] > width:
    raise ValueError(f"window must fit into the images of {height} x {width}, got {window}")
  if step[0] > size[0] or step[1] > size[1]:
    raise ValueError(f"stride must be at most window, {window}, got {stride}: pixels are missed")
  return size, step
