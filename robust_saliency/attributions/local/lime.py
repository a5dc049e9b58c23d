"""LIME: a linear model of what hiding parts of an image does to the network's answer."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.local.feature_selection import SELECTIONS, select_features
from robust_saliency.attributions.local.lime_neighbourhood import (
  DISTANCES,
  filled,
  hide,
  kernel_weights,
  mask_distance,
  random_masks,
)
from robust_saliency.attributions.local.lime_ridge import (
  LocalModel,
  Moments,
  fit,
  merge_moments,
  no_moments,
  sample_moments,
  warn_of_low_scores,
)
from robust_saliency.attributions.local.superpixels import (
  Segments,
  get_segments,
  paint_segments,
  present_segments,
)
from robust_saliency.attributions.scores import Score, get_score
from robust_saliency.core import (
  Bounds,
  Key,
  LogitsFn,
  checks,
  example_keys,
  full_precision,
  map_batches,
  repeat,
)
from robust_saliency.core.tracing import floating, wide_dtype


def lime(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  segments: Segments = "grid",
  num_segments: int | None = None,
  bounds: Bounds = (0.0, 1.0),
  samples: int = 1000,
  fill: str | float | Array = "mean",
  distance: str = "cosine",
  kernel_width: float | Array = 0.25,
  alpha: float | Array = 1.0,
  selection: str = "auto",
  max_features: int | None = None,
  score: str | Score = "probability",
  chunk_size: int = 128,
) -> Array:
  """LIME's coefficients, painted on their segments.

  See `explain_locally` for what is computed, its arguments, and its traps; it also gives how well
  the linear model fits, and explains many classes at the price of one.

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: the classes to explain, int [B].
    segments: see `explain_locally`, as for all that follow.
    num_segments: their number (static).
    bounds: (low, high) of the pixels; only superpixels look at them.
    samples: masked images per example (static).
    fill: what is seen in place of a hidden segment.
    distance: of masks.
    kernel_width: of the weights (traced).
    alpha: ridge penalty (traced).
    selection: how features are chosen.
    max_features: how many (static).
    score: what is explained.
    chunk_size: images per model call (static).

  Returns:
    Maps of x's shape, signed: how much showing a pixel's segment instead of its fill adds to the
    score, the same in all channels.

  Source: Ribeiro et al. 2016, ""Why should I trust you?" Explaining the predictions of any
  classifier", sections 3.3 and 3.4.

  >>> two_pixels = lambda x: jnp.stack([3 * x[:, 0, 0, 0] - x[:, 0, 1, 0], 0 * x[:, 0, 0, 0]], 1)
  >>> lime(jax.random.key(0), two_pixels, jnp.ones((1, 1, 2, 1)), jnp.array([0]), fill=0.0,
  ...      segments="pixels", alpha=0.0, score="logit").ravel().tolist()
  [3.00, -1.00]
  """
  checks.images(x)
  checks.labels(y, batch=x.shape[0])
  labels, count = get_segments(segments, x, num_segments, bounds=bounds)
  model = explain_locally(
    key,
    logits_fn,
    x,
    y,
    segments=labels,
    num_segments=count,
    samples=samples,
    fill=fill,
    distance=distance,
    kernel_width=kernel_width,
    alpha=alpha,
    selection=selection,
    max_features=max_features,
    score=score,
    chunk_size=chunk_size,
  )
  return jnp.broadcast_to(paint_segments(model.coefficients, labels), x.shape).astype(x.dtype)


@full_precision
def explain_locally(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  segments: Segments = "grid",
  num_segments: int | None = None,
  bounds: Bounds = (0.0, 1.0),
  samples: int = 1000,
  fill: str | float | Array = "mean",
  distance: str = "cosine",
  kernel_width: float | Array = 0.25,
  alpha: float | Array = 1.0,
  selection: str = "auto",
  max_features: int | None = None,
  score: str | Score = "probability",
  chunk_size: int = 128,
) -> LocalModel:
  """LIME's linear models of the network around each image.

  Random halves of an image's segments are hidden; the network's answers are regressed on what was
  shown, with weights that fall with the share that was hidden. The numbers are those of the
  package `lime` 0.2.0.1, given its masks. Where that differs from the paper, the package wins.

  What to know before reading a result:
    - With hundreds of segments there is no locality: every random mask shows about half of them,
      so all weights are nearly the same (0.41 to 0.61 for 784 segments, 0.0003 to 1 for 10).
    - The score R^2 says how far the linear model can be believed. It is measured on the samples of
      the fit, so it flatters unless there are many more samples than segments; take 10 for each.
    - `alpha` is not scaled by the number of samples: more samples shrink the coefficients less.
    - Where the fill equals the image (black on a black background), hiding shows nothing, and the
      coefficient is noise around 0.

  Args:
    key: one PRNG key, or one per example [B]; sample i of an image depends on its key and i alone.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: the classes to explain, int [B], or [B, M] for several at the price of one.
    segments: "grid" (7 x 7 cells), "pixels", "slic", "quickshift", "felzenszwalb", one of them
      with its settings ({"name": "grid", "cells": 14}), any function of the images, or labels
      0 .. d - 1, int [H, W] or [B, H, W]. Superpixels are found on the host: inside `jit`, pass
      labels.
    num_segments: the number d of labels (static); needed only where they are traced. Images with
      fewer segments have coefficients 0 at the end.
    bounds: (low, high) of the pixels; only superpixels look at them.
    samples: masked images per example (static), the first of which hides nothing.
    fill: what is seen in place of a hidden segment: "mean" (its mean colour), a number, or an
      image that broadcasts to x.
    distance: "cosine" or "l2", see `mask_distance`.
    kernel_width: of the weights, in units of the distance (traced).
    alpha: ridge penalty (traced).
    selection: "none", "highest_weights", "forward_selection", "lasso_path" or "auto", see
      `select_features`.
    max_features: how many features a model may have (static); None for all.
    score: what is explained: "probability" as in the paper, or any other, as in `gradient`.
    chunk_size: masked images per model call (static). It bounds the memory: the samples of an
      image leave only their covariances behind, d x d numbers.

  Returns:
    A `LocalModel`, in float32 at least: coefficients [B, d], intercept [B], score [B] and local
    prediction [B], or [B, M, d] and [B, M] where y is [B, M]. Where the scores are known (outside
    `jit`), low ones are warned of; see `warn_of_low_scores`.

  Source: Ribeiro et al. 2016, ""Why should I trust you?" Explaining the predictions of any
  classifier", algorithm 1; the package `lime` 0.2.0.1.

  >>> two_pixels = lambda x: jnp.stack([3 * x[:, 0, 0, 0] - x[:, 0, 1, 0], 0 * x[:, 0, 0, 0]], 1)
  >>> model = explain_locally(
  ...   jax.random.key(0), two_pixels, jnp.ones((1, 1, 2, 1)), jnp.array([[0, 1]]), fill=0.0,
  ...   segments="pixels", alpha=0.0, score="logit")
  >>> model.coefficients.shape, model.score.tolist()
  ((1, 2, 2), [[1.0, 1.0]])
  """
  logits_fn = floating(logits_fn)
  _check_arguments(logits_fn, x, y, fill)
  checks.count(samples=samples, chunk_size=chunk_size)
  checks.positive(kernel_width=kernel_width)
  checks.non_negative(alpha=alpha)
  checks.one_of(distance, DISTANCES, argument="distance")
  checks.one_of(selection, SELECTIONS, argument="selection")
  score_function = get_score(score)
  labels, features = get_segments(segments, x, num_segments, bounds=bounds)
  # One model call takes some samples of one image, or all samples of some images.
  images_per_call = max(1, chunk_size // samples)
  calls = math.ceil(samples / chunk_size)
  samples_per_call = math.ceil(samples / calls)
  # What differs from image to image is mapped; what is shared is not copied for each.
  fill_images = None if isinstance(fill, str) else jnp.asarray(fill, x.dtype)
  mapped_arrays = [jnp.asarray(labels)] if labels.ndim == 3 else []
  if fill_images is not None and fill_images.ndim == 4:
    mapped_arrays.append(jnp.broadcast_to(fill_images, x.shape))

  def explain_some(keys: Array, images: Array, classes: Array, *rest: Array) -> LocalModel:
    batch = images.shape[0]
    mapped = list(rest)
    here = mapped.pop(0) if labels.ndim == 3 else jnp.asarray(labels)
    here = jnp.broadcast_to(here, images.shape[:3])
    if fill_images is None:
      hidden = filled(images, here, features)
    else:
      hidden = jnp.broadcast_to(mapped.pop(0) if mapped else fill_images, images.shape)
    present = present_segments(here, features)
    count_present = jnp.sum(present, axis=1)[:, None]

    def add_samples(call: Array | int, moments: Moments) -> Moments:
      numbers = call * samples_per_call + jnp.arange(samples_per_call)
      masks = jax.vmap(random_masks, in_axes=(0, None, None))(keys, numbers, features)
      masks = masks & present[:, None]
      logits = logits_fn(jax.vmap(hide)(images, hidden, masks, here).reshape(-1, *x.shape[1:]))
      each = jnp.repeat(classes, samples_per_call, axis=0)
      predictions = jax.vmap(score_function, in_axes=(None, 1), out_axes=1)(logits, each)
      predictions = predictions.astype(wide_dtype(x)).reshape(batch, samples_per_call, -1)
      masks = masks.astype(wide_dtype(x))
      distances = mask_distance(masks, distance, features=count_present)
      weights = kernel_weights(distances, kernel_width).astype(wide_dtype(x))
      # The last call is filled up with samples that do not count.
      weights = jnp.where(numbers < samples, weights, 0)
      return jax.vmap(merge_moments)(moments, jax.vmap(sample_moments)(masks, predictions, weights))

    nothing = no_moments(features, classes.shape[1], wide_dtype(x))
    moments = jax.tree.map(lambda leaf: jnp.zeros((batch, *leaf.shape), leaf.dtype), nothing)
    moments = repeat(add_samples, moments, times=calls, unroll=False)

    def solve(moments: Moments) -> LocalModel:
      selected = select_features(moments, selection=selection, max_features=max_features)
      return fit(moments, alpha=alpha, selected=selected)

    return jax.vmap(solve)(moments)

  model = map_batches(
    explain_some,
    example_keys(key, x.shape[0]),
    x,
    y if y.ndim == 2 else y[:, None],
    *mapped_arrays,
    chunk_size=images_per_call,
  )
  if y.ndim == 1:
    model = jax.tree.map(lambda leaf: leaf[:, 0], model)
  warn_of_low_scores(model.score)
  return model


def _check_arguments(logits_fn: LogitsFn, x: Array, y: Array, fill: str | float | Array) -> None:
  checks.images(x)
  if x.ndim != 4:
    raise ValueError(f"x must have shape [batch, height, width, channels], got {x.shape}")
  if getattr(y, "ndim", 1) not in (1, 2):
    raise ValueError(f"y must have shape [batch] or [batch, classes], got {y.shape}")
  classes = checks.number_of_classes(logits_fn, x)
  if getattr(y, "ndim", 1) == 2 and y.shape[0] == x.shape[0]:
    checks.labels(y.reshape(-1), batch=y.size, classes=classes)
  else:
    checks.labels(y, batch=x.shape[0], classes=classes)
  if isinstance(fill, str):
    checks.one_of(fill, ("mean",), argument="fill")
    return
  try:
    fits = np.broadcast_shapes(np.shape(fill), x.shape) == x.shape
  except ValueError:
    fits = False
  if not fits:
    raise ValueError(f"fill must broadcast to x {x.shape}, got shape {np.shape(fill)}")
