"""Deletion and insertion: the score while the pixels go, or come, in the order of a map."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.arguments import baseline_images, check_arguments, check_maps
from robust_saliency.attributions.places import as_images
from robust_saliency.attributions.scores import Score, get_score
from robust_saliency.core import LogitsFn, checks, fold_samples, full_precision
from robust_saliency.core.tracing import floating, wide_dtype, widened

_STEPS = 50


@full_precision
def deletion_curve(
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  maps: Array,
  *,
  steps: int | None = None,
  baseline: Array | float = 0.0,
  score: str | Score = "probability",
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> Array:
  """The score as more and more pixels are hidden, those with the largest values of the map first.

  A faithful map makes it fall at once: the smaller its `area_under_curve`, the better.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K]; no gradient of it is taken.
    x: images [B, H, W, C], signals [B, L, C], or rows of features [B, D].
    y: the explained classes, int [B].
    maps: attributions of x's shape. A pixel's place in the order is that of its sum over channels;
      of equal ones the first in the image goes first.
    steps: number n of steps in which all P pixels are hidden, floor(k P / n) by step k (static);
      None for 50, or P where there are fewer.
    baseline: what hidden pixels become: a number, an image or one per example. Maps are ranked
      otherwise by another one.
    score: by default the class's probability, as in the paper; else as in `gradient`.
    chunk_size: images per model call (static); None takes one step of every image at a time.
    unroll: see `smoothgrad`.

  Returns:
    [B, n + 1], from the whole image's score to that of the baseline.

  Raises:
    ValueError, TypeError: for bad arguments, in a sentence that names them.

  Source: Petsiuk et al. 2018, "RISE: randomized input sampling for explanation of black-box
  models", section 4.2.

  >>> x = jnp.array([[1.0, 2.0]])
  >>> network = lambda x: x * jnp.array([3.0, 1.0])
  >>> both = lambda logits, y: logits.sum(1)
  >>> deletion_curve(network, x, jnp.array([0]), jnp.array([[3.0, 2.0]]), score=both).tolist()
  [[5.0, 2.0, 0.0]]
  """
  return _curve(
    logits_fn,
    x,
    y,
    maps,
    steps=steps,
    baseline=baseline,
    score=score,
    chunk_size=chunk_size,
    unroll=unroll,
    inserts=False,
  )


@full_precision
def insertion_curve(
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  maps: Array,
  *,
  steps: int | None = None,
  baseline: Array | float = 0.0,
  score: str | Score = "probability",
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> Array:
  """The score as more and more pixels are shown, those with the largest values of the map first.

  A faithful map makes it rise at once: the larger its `area_under_curve`, the better.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K]; no gradient of it is taken.
    x: images [B, H, W, C], signals [B, L, C], or rows of features [B, D].
    y: the explained classes, int [B].
    maps: attributions of x's shape, summed over channels; of equal ones the first pixel goes first.
    steps: number n of steps in which all P pixels are shown (static); None for 50, or P where there
      are fewer.
    baseline: what pixels are before they are shown; the paper's is the image, blurred.
    score: by default the class's probability, as in the paper; else as in `gradient`.
    chunk_size: images per model call (static); None takes one step of every image at a time.
    unroll: see `smoothgrad`.

  Returns:
    [B, n + 1], from the baseline's score to that of the whole image.

  Raises:
    ValueError, TypeError: for bad arguments, in a sentence that names them.

  Source: Petsiuk et al. 2018, section 4.2.

  >>> x = jnp.array([[1.0, 2.0]])
  >>> network = lambda x: x * jnp.array([3.0, 1.0])
  >>> both = lambda logits, y: logits.sum(1)
  >>> insertion_curve(network, x, jnp.array([0]), jnp.array([[3.0, 2.0]]), score=both).tolist()
  [[0.0, 3.0, 5.0]]
  """
  return _curve(
    logits_fn,
    x,
    y,
    maps,
    steps=steps,
    baseline=baseline,
    score=score,
    chunk_size=chunk_size,
    unroll=unroll,
    inserts=True,
  )


def area_under_curve(curve: Array) -> Array:
  """The area under each curve over [0, 1], by the trapezoid rule.

  Args:
    curve: values at n + 1 places of equal distance [B, n + 1], n >= 1.

  Returns:
    [B], in the curve's units.

  Raises:
    ValueError, TypeError: for what are no such curves.

  >>> area_under_curve(jnp.array([[1.0, 0.5, 0.0], [1.0, 0.0, 0.0]])).tolist()
  [0.5, 0.25]
  """
  checks.array(curve=curve)
  if curve.ndim != 2 or curve.shape[1] < 2:
    raise ValueError(f"curve must have shape [batch, steps + 1], got {curve.shape}")
  curve = widened(jnp.asarray(curve))
  return jnp.mean((curve[:, 1:] + curve[:, :-1]) / 2, axis=1)


def _curve(
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  maps: Array,
  *,
  steps: int | None,
  baseline: Array | float,
  score: str | Score,
  chunk_size: int | None,
  unroll: bool | int | None,
  inserts: bool,
) -> Array:
  logits_fn = floating(logits_fn)
  x = check_arguments(logits_fn, x, y)
  maps = check_maps(maps, x)
  checks.unrolled(unroll)
  score_function, start = get_score(score), baseline_images(baseline, x)
  logits_fn, images = as_images(logits_fn, x)
  pixels = images.shape[1] * images.shape[2]
  if steps is None:
    steps = min(_STEPS, pixels)
  checks.count(maximum=pixels, steps=steps)
  places = _places_in_order(maps.reshape(images.shape)).reshape(*images.shape[:3], 1)
  # By NumPy, whose integers k P fits into.
  taken = jnp.asarray(np.arange(steps + 1) * pixels // steps, jnp.int32)

  def scores_at(numbers: Array, x: Array, start: Array, classes: Array, places: Array) -> Array:
    is_taken = places < taken[numbers][:, None, None, None]
    shown = jnp.where(is_taken, x, start) if inserts else jnp.where(is_taken, start, x)
    values = widened(score_function(logits_fn(shown), classes))
    at = jnp.arange(steps + 1)[None] == numbers[:, None]
    return jnp.where(at, values[:, None], 0)

  return fold_samples(
    scores_at,
    images,
    start.reshape(images.shape),
    y,
    places,
    samples=steps + 1,
    chunk_size=chunk_size,
    unroll=unroll,
  )


def _places_in_order(maps: Array) -> Array:
  """Each pixel's place among those of its image, 0 for the largest value: int [B, H * W]."""
  values = jnp.sum(maps, axis=-1, dtype=wide_dtype(maps))
  values = values.reshape(maps.shape[0], maps.shape[1] * maps.shape[2])
  order = jnp.argsort(-values, axis=1, stable=True)
  return jnp.argsort(order, axis=1, stable=True)
