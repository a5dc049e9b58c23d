"""Which pixels a map calls important, and images without them."""

import math

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import Key, checks
from robust_saliency.core.keys import example_keys
from robust_saliency.core.tracing import wide_dtype, widened


def important_pixels(
  key: Key,
  maps: Array,
  *,
  fraction: Array | float,
  noise: Array | float = 0.0,
) -> Array:
  """The pixels of each image with the largest values, exactly as many as a fraction of them.

  Pixels of equal value are drawn in random order: a gradient that underflows to 0 over most of an
  image would otherwise have its first rows removed, and the order would say more than the map.

  Args:
    key: orders equal values, and draws the noise; one key, or one per example [B].
    maps: [B, H, W, C], or [B, L, C] of signals, or [B, D] of rows; channels are summed. Give
      `absolute(maps)` where a sign is not meant.
    fraction: of the pixels, in [0, 1] (traced); round(fraction * pixels) of them.
    noise: adds uniform noise in [0, noise) before pixels are ordered. Kim, Seo & Jeon's code adds
      1e-8, which decides the order where gradients are smaller than that; the default leaves the
      map as it is.

  Returns:
    Bool [B, H, W, 1] (or [B, L, 1], [B, D]), True for the important ones.

  Raises:
    ValueError: for a fraction outside [0, 1], negative noise, or maps of another rank.

  Source: Hooker et al. 2019, "A benchmark for interpretability methods in deep neural networks".

  >>> maps = jnp.array([3.0, 1.0, 2.0, 0.0]).reshape(1, 2, 2, 1)
  >>> important_pixels(jax.random.key(0), maps, fraction=0.5).ravel().tolist()
  [True, False, True, False]
  """
  checks.scalar(fraction=fraction)
  checks.fraction(fraction=fraction)
  return are_among_first(importance_ranks(key, maps, noise=noise), fraction)


def importance_ranks(key: Key, maps: Array, *, noise: Array | float = 0.0) -> Array:
  """The places of each image's pixels, the largest value first.

  Args:
    key: orders equal values, and draws the noise; one key, or one per example [B].
    maps: [B, H, W, C], or [B, L, C] of signals, or [B, D] of rows; channels are summed.
    noise: adds uniform noise in [0, noise) before pixels are ordered.

  Returns:
    Int32 [B, H, W, 1] (or [B, L, 1], [B, D]) from 0 on.

  Raises:
    ValueError: as `important_pixels`.

  >>> maps = jnp.array([3.0, 1.0, 2.0, 0.0]).reshape(1, 2, 2, 1)
  >>> importance_ranks(jax.random.key(0), maps).ravel().tolist()
  [0, 2, 1, 3]
  """
  checks.array(maps=maps)
  checks.scalar(noise=noise)
  checks.non_negative(noise=noise)
  if maps.ndim not in (2, 3, 4):
    raise ValueError(f"maps must be [B, H, W, C], [B, L, C] or [B, D], got shape {maps.shape}")
  of_rows = maps.ndim == 2
  values = widened(maps) if of_rows else jnp.sum(maps, axis=-1, dtype=wide_dtype(maps))
  flat = values.reshape(len(maps), -1)
  pixels = flat.shape[1]

  def of_image(key: Array, values: Array) -> Array:
    noise_key, order_key = jax.random.split(key)
    values = values + noise * jax.random.uniform(noise_key, values.shape, values.dtype)
    # The last key of a sort is its first: -values, and among equal ones the random numbers.
    order = jnp.lexsort((jax.random.uniform(order_key, values.shape), -values))
    return jnp.zeros(pixels, jnp.int32).at[order].set(jnp.arange(pixels))

  ranks = jax.vmap(of_image)(example_keys(key, len(maps)), flat)
  return ranks.reshape(maps.shape if of_rows else (*maps.shape[:-1], 1))


def are_among_first(ranks: Array, fraction: Array | float) -> Array:
  """Whether pixels are among the first round(fraction * pixels), by their `importance_ranks`.

  >>> are_among_first(jnp.array([[0, 2, 1, 3]]), 0.5).tolist()
  [[True, False, True, False]]
  """
  pixels = math.prod(ranks.shape[1:])
  return ranks < jnp.round(jnp.asarray(fraction, jnp.float32) * pixels)
