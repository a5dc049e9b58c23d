"""Grad-CAM: where a layer's features speak for a class."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.gradient import check_attribution_arguments
from robust_saliency.attributions.scores import Score, get_score
from robust_saliency.core import Key, LogitsFn, full_precision, map_batches


@full_precision
def grad_cam(
  key: Key,
  logits_fn: LogitsFn | None,
  x: Array,
  y: Array,
  *,
  features_fn: Callable[[Array], Array],
  head_fn: Callable[[Array], Array],
  relu: bool = True,
  score: str | Score = "logit",
  chunk_size: int | None = None,
) -> Array:
  """ReLU(sum_k a_k F_k), where a_k is the mean over places of d score / dF_k.

  Args:
    key: not used; there so that this is an attribution like any other.
    logits_fn: not used: `head_fn` of `features_fn` takes its place.
    x: images [B, H, W, C].
    y: the classes to explain, int [B].
    features_fn: maps images to a layer's features F [B, h, w, D], usually those of the last
      convolution.
    head_fn: maps these features to logits [B, K]: the rest of the network.
    relu: whether negative places become 0 (static), as in the paper.
    score: as in `gradient`.
    chunk_size: images per model call (static).

  Returns:
    Maps [B, H, W, C], the same in each channel; resized from h x w bilinearly.

  Raises:
    ValueError, TypeError: for bad arguments, in a sentence that names them.

  Source: Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via
  gradient-based localization", equations 1 and 2.

  >>> grad_cam(jax.random.key(0), None, jnp.full((1, 2, 2, 1), 3.0), jnp.array([0]),
  ...          features_fn=lambda x: x, head_fn=lambda f: f.sum((1, 2)) * jnp.array([2.0, 1.0])
  ...          )[..., 0].tolist()
  [[[6.0, 6.0], [6.0, 6.0]]]
  """
  del key, logits_fn
  check_attribution_arguments(lambda images: head_fn(features_fn(images)), x, y)
  shape = jax.eval_shape(features_fn, jax.ShapeDtypeStruct(x.shape, x.dtype)).shape
  if x.ndim != 4 or len(shape) != 4:
    raise ValueError(
      f"features_fn must map images [B, H, W, C] to features [B, h, w, D], got {x.shape} to {shape}"
    )
  score_function = get_score(score)

  def explain(images: Array, classes: Array) -> Array:
    features = features_fn(images)
    slopes = jax.grad(lambda f: jnp.sum(score_function(head_fn(f), classes)))(features)
    weights = jnp.mean(slopes, axis=(1, 2), keepdims=True)
    maps = jnp.sum(weights * features, axis=-1, keepdims=True)
    if relu:
      maps = jax.nn.relu(maps)
    resized = jax.image.resize(maps, (*images.shape[:3], 1), "linear")
    return jnp.broadcast_to(resized, images.shape)

  return map_batches(explain, x, y, chunk_size=chunk_size)
