"""What the score loses when a part of the image is hidden."""

import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.gradient import check_attribution_arguments
from robust_saliency.attributions.local.superpixels import Segments, get_segments, grid, image_sides
from robust_saliency.attributions.paths import baseline_images
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

Sides = int | tuple[int, int]


@full_precision
def occlusion(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  window: Sides = 4,
  stride: Sides = 2,
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
    x: images [B, H, W, C].
    y: the classes to explain, int [B].
    window: height and width of what is hidden, or one number for both (static); all channels are
      hidden together.
    stride: pixels from one window to the next, at most `window` (static).
    baseline: what hidden pixels become: a number, an image or one per example.
    score: as in `gradient`.
    chunk_size: images per model call (static); None hides one window of every image at a time.
    unroll: see `smoothgrad`.

  Returns:
    Maps [B, H, W, C], signed, the same in each channel.

  Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section
  4.2; overlapping windows are averaged as in captum.

  >>> import jax
  >>> occlusion(jax.random.key(0), lambda x: 3 * x[:, 0, :, 0], jnp.ones((1, 1, 2, 1)),
  ...           jnp.array([0]), window=1, stride=1)[..., 0].tolist()
  [[[3.0, 0.0]]]
  """
  logits_fn = floating(logits_fn)
  check_attribution_arguments(logits_fn, x, y)
  sides = image_sides(x)
  windows, strides = _pair(window, "window"), _pair(stride, "stride")
  for size, step, side in zip(windows, strides, sides, strict=True):
    if size > side:
      raise ValueError(f"window must fit into the images of {sides[0]} x {sides[1]}, got {window}")
    if step > size:
      raise ValueError(f"stride must be at most window, {window}, got {stride}: pixels are missed")
  places = [
    math.ceil((side - size) / step) + 1
    for side, size, step in zip(sides, windows, strides, strict=True)
  ]

  def inside(number: Array, axis: int) -> Array:
    starts = number[:, None] * strides[axis]
    pixels = jnp.arange(sides[axis])
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
    baseline=baseline,
    score=score,
    chunk_size=chunk_size,
    unroll=unroll,
  )
  vertically, horizontally = (
    jnp.sum(inside(jnp.arange(places[axis]), axis), axis=0) for axis in (0, 1)
  )
  maps = total / jnp.outer(vertically, horizontally)[:, :, None]
  return jnp.broadcast_to(maps, x.shape).astype(x.dtype)


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
    x: images [B, H, W, C].
    y: the classes to explain, int [B].
    segments: labels 0 .. d - 1, int [H, W] or [B, H, W], or a segmentation or its name, see
      `superpixels`.
    num_segments: d (static); needed only where the labels are traced.
    bounds: (low, high) of the pixels; only superpixels look at them.
    baseline: what hidden pixels become: a number, an image or one per example.
    score: as in `gradient`.
    chunk_size: images per model call (static); None hides one segment of every image at a time.
    unroll: see `smoothgrad`.

  Returns:
    Maps [B, H, W, C], signed, the same throughout a segment.

  Source: the name and the definition are captum's `FeatureAblation`.

  >>> import jax
  >>> feature_ablation(jax.random.key(0), lambda x: x[:, 0, :, 0] * jnp.array([3.0, 1.0]),
  ...                  jnp.ones((1, 1, 2, 1)), jnp.array([0]), segments=np.array([[0, 0]])
  ...                  )[..., 0].tolist()
  [[[3.0, 3.0]]]
  """
  logits_fn = floating(logits_fn)
  check_attribution_arguments(logits_fn, x, y)
  image_sides(x)
  labels, features = get_segments(segments, x, num_segments, bounds=bounds)

  def hidden(numbers: Array, labels: Array) -> Array:
    return (labels == numbers[:, None, None])[..., None]

  total = _fold_losses(
    logits_fn,
    x,
    y,
    hidden,
    jnp.broadcast_to(jnp.asarray(labels), x.shape[:3]),
    features=features,
    baseline=baseline,
    score=score,
    chunk_size=chunk_size,
    unroll=unroll,
  )
  return jnp.broadcast_to(total, x.shape).astype(x.dtype)


def _fold_losses(
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  hidden: Callable[..., Array],
  *arrays: Array,
  features: int,
  baseline: Array | float,
  score: str | Score,
  chunk_size: int | None,
  unroll: bool | int | None,
) -> Array:
  """Sums, at each pixel, what the score loses by each feature that hides it: [B, H, W, 1].

  `hidden(numbers [R], *arrays of R rows)` says which pixels a feature hides, bool [R, H, W, 1].
  """
  score_function = get_score(score)
  start = baseline_images(baseline, x)

  def score_of(images: Array, classes: Array) -> Array:
    return widened(score_function(logits_fn(images), classes))

  def loss(
    numbers: Array, images: Array, start: Array, classes: Array, whole: Array, *arrays: Array
  ) -> Array:
    hides = hidden(numbers, *arrays)
    losses = whole - score_of(jnp.where(hides, start, images), classes)
    return losses[:, None, None, None] * hides

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


def _pair(sides: Sides, argument: str) -> tuple[int, int]:
  pair = (sides, sides) if isinstance(sides, (int, np.integer)) else sides
  if not isinstance(pair, (tuple, list)) or len(pair) != 2:
    raise TypeError(f"{argument} must be a pair of whole numbers or one, got {sides!r}")
  for side in pair:
    checks.count(**{argument: side})
  return pair[0], pair[1]
