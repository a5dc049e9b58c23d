"""The nearest point of an l1 ball that also lies within the pixels' bounds."""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.threat import flat_bounds
from robust_saliency.core import PixelBounds
from robust_saliency.core.tracing import widened

# Each halves the bracket of the threshold: 2^-30 of the largest change, below float32's own steps.
BISECTIONS = 30


def l1_ball_within_bounds(
  candidate: Array, image: Array, radius: Array | float, bounds: PixelBounds
) -> Array:
  """Projects a candidate image onto {x': ||x' - x||_1 <= radius, low <= x' <= high}.

  The nearest point in Euclidean distance moves every pixel by sign(u) clip(|u| - t, 0, room),
  where u = candidate - image, room is what the bounds leave in u's direction, and t >= 0 is the
  threshold at which the moves add up to the radius (0 where they are shorter anyway). Projecting
  onto the ball and then clipping gives a shorter move: it wastes budget on pixels at their bounds.

  Args:
    candidate: one image of any shape.
    image: the centre, of the same shape, within `bounds`.
    radius: of the ball (traced); 0 gives the image.
    bounds: (low, high) of the pixels, each one number or one per channel [C].

  Returns:
    One image, within the bounds, and within the radius up to float rounding.

  Source: Croce & Hein 2021, "Mind the box: l1-APGD for sparse adversarial attacks on image
  classifiers", proposition 2.1. Bisection takes the place of sorting, which is slow on CPU.

  >>> l1_ball_within_bounds(jnp.array([1.3, 0.9]), jnp.array([0.9, 0.5]), 0.3, (0.0, 1.0)).tolist()
  [1.0, 0.7]
  """
  shape, dtype = image.shape, image.dtype
  low, high = flat_bounds(bounds, shape)
  # One axis, since XLA sums over several on CPU ten times slower.
  candidate, image = widened(candidate.reshape(-1)), widened(image.reshape(-1))
  change = candidate - image
  room = jnp.maximum(jnp.where(change > 0, high - image, image - low), 0.0)
  size = jnp.where(room > 0, jnp.abs(change), 0.0)
  longest = jnp.max(size, initial=0.0)
  # From the longest change downwards, so that float32 holds a radius small beside it: a pixel
  # moves by how far the level (longest - t) rises above its depth.
  depth = longest - size

  def moves(level: Array) -> Array:
    return jnp.clip(level - depth, 0.0, room)

  def halve(_: Array, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
    below, above = bracket
    middle = (below + above) / 2
    too_far = jnp.sum(moves(middle)) > radius
    return jnp.where(too_far, below, middle), jnp.where(too_far, middle, above)

  below, above = jax.lax.fori_loop(0, BISECTIONS, halve, (jnp.zeros_like(longest), longest))
  # Between two kinks the sum is linear in the level, so the last step is exact.
  middle = (below + above) / 2
  full = middle - depth >= room
  moving = (middle > depth) & ~full
  already = jnp.sum(jnp.where(full, room, 0.0)) - jnp.sum(jnp.where(moving, depth, 0.0))
  solved = (radius - already) / jnp.maximum(jnp.sum(moving), 1).astype(already.dtype)
  level = jnp.where(jnp.any(moving), jnp.clip(solved, below, above), below)
  inside = jnp.sum(jnp.minimum(size, room)) <= radius
  move = jnp.where(inside, jnp.minimum(size, room), moves(level))
  move = jnp.where(jnp.asarray(radius) > 0, move, 0.0)
  nearest = jnp.clip(image + jnp.sign(change) * move, low, high)
  return nearest.astype(dtype).reshape(shape)
