"""Random crops and mirror images, drawn alike for an image and for a map of it."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import checks, example_keys
from robust_saliency.core.types import Key


def crop_and_flip(
  key: Key,
  x: Array,
  maps: Any = None,
  *,
  padding: int = 4,
  flip_probability: float | Array = 0.5,
  fill: float | Array = 0.0,
) -> tuple[Array, Any]:
  """Shifts each image by up to `padding` pixels, and mirrors it left to right now and then.

  An image is padded on all sides, a part of its old size is cut out at a random place, and that
  is mirrored with some probability. A map that belongs to the image goes the same way, so that
  each of its values stays with its pixel.

  Args:
    key: one key, or one per example [B]; an example's crop depends on its own key alone.
    x: images [B, H, W, C], of any type: stored bytes too.
    maps: maps [B, H, W, ...] of these images: an array, or a tree of several; None for none.
    padding: pixels added on each side (static).
    flip_probability: of mirroring (traced).
    fill: the pixel that stands beyond the border, in the units of `x`: 0 for bytes and for images
      within [0, 1], the low bound for others. Beyond a map's border stands 0.

  Returns:
    (x, maps), of the shapes and types that came in; maps is None where it was.

  Raises:
    ValueError: for shapes that do not fit, a negative padding, a probability outside [0, 1].

  Source: the CIFAR-10 training of Noack, Ahern, Dou & Li 2021 (their code): padding 4, mirrored
  with probability 0.5, for the image and its target map jointly.

  >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
  >>> shifted, maps = crop_and_flip(jax.random.key(0), x, -x, padding=1)
  >>> bool((shifted == -maps).all())
  True
  """
  checks.count(0, padding=padding)
  checks.scalar(flip_probability=flip_probability)
  checks.fraction(flip_probability=flip_probability)
  if x.ndim != 4:
    raise ValueError(f"x must hold images [B, H, W, C], got shape {x.shape}")
  for a_map in jax.tree.leaves(maps):
    if a_map.shape[:3] != x.shape[:3]:
      raise ValueError(
        f"maps must be of the images' size [{', '.join(map(str, x.shape[:3]))}, ...], got shape "
        f"{a_map.shape}"
      )

  def one(key: Array, x: Array, its_maps: Any) -> tuple[Array, Any]:
    place_key, flip_key = jax.random.split(key)
    corner = jax.random.randint(place_key, (2,), 0, 2 * padding + 1)
    flipped = jax.random.bernoulli(flip_key, flip_probability)

    def move(array: Array, fill: float | Array) -> Array:
      margins = [(padding, padding)] * 2 + [(0, 0)] * (array.ndim - 2)
      padded = jnp.pad(array, margins, constant_values=jnp.asarray(fill, array.dtype))
      start: list[Array | int] = [*corner, *[0] * (array.ndim - 2)]
      crop = jax.lax.dynamic_slice(padded, start, array.shape)
      return jnp.where(flipped, crop[:, ::-1], crop)

    return move(x, fill), jax.tree.map(lambda a_map: move(a_map, 0), its_maps)

  return jax.vmap(one)(example_keys(key, len(x)), x, maps)
