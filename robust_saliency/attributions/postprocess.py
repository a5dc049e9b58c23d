"""From signed maps [B, H, W, C] to what a figure or a ranking of pixels needs.

Each step is a function of the maps alone, so that a paper's recipe is their composition.
"""

import jax.numpy as jnp
from jax import Array

from robust_saliency.core import checks


def absolute(maps: Array) -> Array:
  """|a|, for methods whose sign is not meant.

  Args:
    maps: [B, H, W, C].

  Returns:
    Maps [B, H, W, C], >= 0.

  >>> absolute(jnp.array([-4.0, 2.0])).tolist()
  [4.0, 2.0]
  """
  checks.array(maps=maps)
  return jnp.abs(maps)


def channel_sum(maps: Array) -> Array:
  """Sums the channels: [B, H, W, C] -> [B, H, W, 1].

  Args:
    maps: [B, H, W, C], or any with a last axis.

  Returns:
    Maps [B, H, W, 1].

  >>> channel_sum(jnp.ones((1, 2, 2, 3))).shape
  (1, 2, 2, 1)
  """
  checks.array(maps=maps)
  if not maps.ndim:
    raise ValueError("maps must have a last axis, their channels, got shape ()")
  return jnp.sum(maps, axis=-1, keepdims=True)


def clip_percentile(maps: Array, percentile: float | Array = 99.0) -> Array:
  """Limits each map to its central values, so that one extreme pixel does not hide the rest.

  Args:
    maps: [B, H, W, C].
    percentile: the upper percentile kept, in [0, 100]; the lower one is 100 - percentile where
      the map has negative values, else 0.

  Returns:
    Clipped maps [B, H, W, C].

  Raises:
    ValueError: for a percentile outside [0, 100].

  >>> clip_percentile(jnp.arange(5.0).reshape(1, 5, 1, 1), 75.0).ravel().tolist()
  [0.0, 1.0, 2.0, 3.0, 3.0]
  """
  checks.array(maps=maps)
  checks.between(0, 100, percentile=percentile)
  checks.scalar(percentile=percentile)
  flat = maps.reshape(maps.shape[0], -1)
  high = jnp.percentile(flat, percentile, axis=1)
  low = jnp.where(
    jnp.min(flat, axis=1) < 0, jnp.percentile(flat, 100 - jnp.asarray(percentile), axis=1), 0.0
  )
  each = (-1, *[1] * (maps.ndim - 1))
  return jnp.clip(maps, low.reshape(each), jnp.maximum(low, high).reshape(each))


def scale(maps: Array) -> Array:
  """Divides each map by its largest magnitude: signs stay, 0 stays 0, values lie in [-1, 1].

  Args:
    maps: [B, H, W, C].

  Returns:
    Maps [B, H, W, C]; a map of zeros stays one.

  >>> scale(jnp.array([[-4.0, 2.0]]).reshape(1, 1, 2, 1)).ravel().tolist()
  [-1.0, 0.5]
  """
  checks.array(maps=maps)
  return maps / magnitudes(maps)


def magnitudes(maps: Array) -> Array:
  """Each map's largest magnitude, 1 for a map of zeros, to divide maps [B, ...] by: [B, 1, ...].

  >>> magnitudes(jnp.array([[-4.0, 2.0], [0.0, 0.0]])).ravel().tolist()
  [4.0, 1.0]
  """
  largest = jnp.max(jnp.abs(maps), axis=tuple(range(1, maps.ndim)), keepdims=True)
  return jnp.where(largest > 0, largest, 1.0)
