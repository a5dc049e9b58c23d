"""LIME: a linear model of what hiding parts of an image does to the network's answer."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.arguments import baseline_images, check_images
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
)
from robust_saliency.attributions.local.lime_warnings import (
  warn_of_few_samples,
  warn_of_low_scores,
  warn_of_nothing_hidden,
)
from robust_saliency.attributions.local.superpixels import (
  Segments,
  get_segments,
  labels_of_images,
  paint_segments,
  present_segments,
)
from robust_saliency.attributions.places import as_images, image_shape
from robust_saliency.attributions.registry import attribution
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


@attribution(signed=True)
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
    x: images [B, H, W, C] within `bounds`, signals [B, L, C], or rows of features [B, D].
    y: the classes to explain, int [B].
    segments: see `explain_locally`, as for all that follow.
    num_segments: their number (static).
    bounds: (low, high) of the pixels.
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
  x = check_images(x, bounds=bounds)
  checks.labels(y, batch=x.shape[0])
  labels, count = get_segments(segments, x, num_segments, bounds=bounds)
  model = explain_locally(
    key,
    logits_fn,
    x,
    y,
    segments=labels,
    num_segments=count,
    bounds=bounds,
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
  painted = paint_segments(model.coefficients, labels_of_images(labels, x))
  return jnp.broadcast_to(painted, image_shape(x)).reshape(x.shape).astype(x.dtype)


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
    x: images [B, H, W, C] within `bounds`, signals [B, L, C], or rows of features [B, D].
    y: the classes to explain, int [B], or [B, M] for several at the price of one.
    segments: "grid" (7 x 7 cells, or as many as there are pixels on a side; 7 parts of a signal;
      every column of rows), "pixels", "slic", "quickshift", "felzenszwalb", one of them with its
      settings ({"name": "grid", "cells": 14}), any function of x, or labels 0 .. d - 1, int [H, W]
      or [B, H, W] ([L] or [B, L] of signals, [D] or [B, D] of rows). Superpixels are found on the
      host: inside `jit`, pass labels.
    num_segments: the number d of labels (static); needed only where they are traced. Images with
      fewer segments have coefficients 0 at the end.
    bounds: (low, high) of the pixels.
    samples: masked images per example (static), the first of which hides nothing.
    fill: what is seen in place of a hidden segment: "mean" (its mean colour, which hides nothing
      where a segment is one pixel or column), a number, or an image that broadcasts to x.
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
    prediction [B], or [B, M, d] and [B, M] where y is [B, M]. Outside `jit`, where the numbers are
    known, there are warnings of low scores (see `warn_of_low_scores`), of fewer than ten samples
    for each segment, and of images that equal their fill.

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
  checks.pixel_bounds(bounds)
  x = _check_arguments(logits_fn, x, y, bounds)
  checks.count(samples=samples, chunk_size=chunk_size)
  checks.positive(kernel_width=kernel_width)
  checks.non_negative(alpha=alpha)
  checks.scalar(kernel_width=kernel_width, alpha=alpha)
  checks.one_of(distance, DISTANCES, argument="distance")
  checks.one_of(selection, SELECTIONS, argument="selection")
  score_function = get_score(score)
  labels, features = get_segments(segments, x, num_segments, bounds=bounds)
  fill_images = _fill_images(fill, x)
  labels = labels_of_images(labels, x)
  logits_fn, x = as_images(logits_fn, x)
  warn_of_few_samples(x, samples=samples, features=features)
  warn_of_nothing_hidden(x, fill_images, labels, features)
  # One model call takes some samples of one image, or all samples of some images.
  images_per_call = max(1, chunk_size // samples)
  calls = math.ceil(samples / chunk_size)
  samples_per_call = math.ceil(samples / calls)
  # What differs from image to image is mapped; what is shared is not copied for each.
  mapped_arrays = [jnp.asarray(labels)] if labels.ndim == 3 else []
  if fill_images is not None and fill_images.ndim == 4:
    mapped_arrays.append(fill_images)

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
      weights = jnp.where((numbers < samples)[None], weights, 0)
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


def _check_arguments(logits_fn: LogitsFn, x: Array, y: Array, bounds: Bounds) -> Array:
  x = check_images(x, bounds=bounds)
  if getattr(y, "ndim", 1) not in (1, 2):
    raise ValueError(f"y must have shape [batch] or [batch, classes], got {y.shape}")
  classes = checks.number_of_classes(logits_fn, x)
  if getattr(y, "ndim", 1) == 2 and y.shape[0] == x.shape[0]:
    checks.labels(y.reshape(-1), batch=y.size, classes=classes)
  else:
    checks.labels(y, batch=x.shape[0], classes=classes)
  return x


def _fill_images(fill: str | float | Array, x: Array) -> Array | None:
  """What hidden places become, as images: [B, H, W, C], one for all [H, W, C], None for means."""
  if isinstance(fill, str):
    checks.one_of(fill, ("mean",), argument="fill")
    return None
  of_each = baseline_images(fill, x, argument="fill")
  if np.ndim(fill) == x.ndim:
    return of_each.reshape(image_shape(x))
  return jnp.broadcast_to(jnp.asarray(fill, x.dtype), x.shape[1:]).reshape(image_shape(x)[1:])
