"""The neighbourhood of an image in which LIME looks: random masks, their weights, and fills."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.local.superpixels import paint_segments
from robust_saliency.core import Key, checks
from robust_saliency.core.tracing import widened

DISTANCES = ("cosine", "l2")

_WORD = 32


def random_masks(key: Key, numbers: Array, features: int) -> Array:
  """Masks that keep each feature with probability 1/2; number 0 keeps all.

  Args:
    key: the image's PRNG key.
    numbers: which samples, int [N]; sample i depends on the key and i alone.
    features: their number d (static).

  Returns:
    Bool [N, d], False where a feature is hidden.

  >>> random_masks(jax.random.key(0), jnp.array([0, 1]), 3)[0].tolist()
  [True, True, True]
  """
  words = -(-features // _WORD)

  def one_mask(number: Array) -> Array:
    # One random word makes 32 coin flips.
    bits = jax.random.bits(jax.random.fold_in(key, number), (words, 1), jnp.uint32)
    flips = bits >> jnp.arange(_WORD, dtype=jnp.uint32)[None]
    return (flips & 1).reshape(-1)[:features] == 1

  return jax.vmap(one_mask)(numbers) | (numbers == 0)[:, None]


def mask_distance(masks: Array, distance: str = "cosine", *, features: Array | int) -> Array:
  """How far masks are from the one that hides nothing.

  Args:
    masks: bool or 0/1 [N, d].
    distance: "cosine", 1 - sqrt(share of features that are kept), in [0, 1] (`lime`'s default);
      or "l2", the root of the number of hidden features.
    features: how many of the d features the image has; the others are 0 in every mask.

  Returns:
    Distances [N], float32, or in the precision of float masks.

  >>> mask_distance(jnp.array([[1.0, 1, 1, 1], [1, 0, 0, 0]]), features=4).tolist()
  [0.0, 0.5]
  """
  checks.one_of(distance, DISTANCES, argument="distance")
  if not jnp.issubdtype(masks.dtype, jnp.floating):
    masks = masks.astype(jnp.float32)
  kept = jnp.sum(masks, axis=-1)
  features = jnp.asarray(features, kept.dtype)
  if distance == "cosine":
    return 1 - jnp.sqrt(kept / features)
  return jnp.sqrt(features - kept)


def kernel_weights(distances: Array, kernel_width: float | Array = 0.25) -> Array:
  """exp(-distance^2 / (2 width^2)), `lime`'s kernel.

  The paper's has no 2: its width is sqrt(2) times that of the code.

  >>> kernel_weights(jnp.array([0.0, 0.25])).tolist()
  [1.0, 0.60653]
  """
  return jnp.exp(-((distances / kernel_width) ** 2) / 2)


def filled(x: Array, segments: Array | np.ndarray, num_segments: int) -> Array:
  """Images whose segments are each painted in their mean colour.

  Args:
    x: images [B, H, W, C].
    segments: labels [H, W] or [B, H, W].
    num_segments: their number d (static).

  Returns:
    Images [B, H, W, C].

  >>> filled(jnp.array([0.0, 2.0]).reshape(1, 1, 2, 1), np.zeros((1, 2), int), 1).ravel().tolist()
  [1.0, 1.0]
  """
  labels = jnp.broadcast_to(jnp.asarray(segments), x.shape[:3])

  def means(image: Array, labels: Array) -> Array:
    colours = widened(image.reshape(-1, image.shape[-1]))
    sums = jax.ops.segment_sum(colours, labels.reshape(-1), num_segments)
    sizes = jax.ops.segment_sum(jnp.ones_like(colours[:, :1]), labels.reshape(-1), num_segments)
    return (sums / jnp.maximum(sizes, 1)).astype(image.dtype)

  colours = jax.vmap(means)(x, labels)
  return jax.vmap(lambda colours, labels: colours[labels])(colours, labels)


def hide(x: Array, fill: Array, masks: Array, segments: Array | np.ndarray) -> Array:
  """Copies of one image with the segments of each mask hidden.

  Args:
    x: an image [H, W, C].
    fill: what is seen where a segment is hidden, [H, W, C].
    masks: bool [N, d].
    segments: labels [H, W].

  Returns:
    Images [N, H, W, C].
  """
  return jnp.where(paint_segments(masks, segments), x[None], jnp.asarray(fill, x.dtype)[None])
