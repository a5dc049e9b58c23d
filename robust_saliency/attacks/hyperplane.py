"""The shortest way to a hyperplane without leaving the box of allowed pixels, in linf, l2 and l1.

With directions of descent fixed, the problem is: fill t_i in [0, room_i] until
sum_i w_i t_i = amount, as cheaply as the norm allows. All three have one number as their solution:
the common level of the t_i (linf), of t_i / w_i (l2), or the weight above which pixels are filled
(l1). The authors of FAB find it by sorting; here passes over the pixels close in on it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import Norm, PixelBounds, checks, get_norm


def step_to_hyperplane(
  x: Array,
  slope: Array,
  value: Array | float,
  *,
  norm: str | Norm,
  bounds: PixelBounds = (0.0, 1.0),
) -> Array:
  """The shortest step d from one image to a hyperplane that stays within the bounds.

      min ||d||_p  such that  value + <slope, d> = 0  and  low <= x + d <= high

  Where no image within the bounds lies on the hyperplane, d leads as near to it as they allow. A
  slope of 0 gives d = 0.

  Args:
    x: one image, of any shape, within the bounds.
    slope: the hyperplane's normal vector, of the same shape.
    value: what the linear function is at x, so that large offsets never cancel.
    norm: "linf", "l2" or "l1", the norm that d minimises.
    bounds: (low, high) of the pixels, each one number or one per channel [C].

  Returns:
    d, of x's shape, exact up to float rounding; pixels that cannot help do not move.

  Raises:
    ValueError: for another norm.

  Source: Croce & Hein 2020, "Minimally distorted adversarial examples with a fast adaptive boundary
  attack", section 2.1 and appendix A.

  >>> d = step_to_hyperplane(jnp.array([0.5, 0.9]), jnp.array([1.0, 1.0]), -0.4, norm="linf")
  >>> d.tolist()
  [0.3, 0.1]
  >>> d = step_to_hyperplane(jnp.array([0.5, 0.5]), jnp.array([2.0, 1.0]), -0.5, norm="l1")
  >>> d.tolist()
  [0.25, 0.0]
  """
  norm = get_norm(norm)
  checks.one_of(norm.name, FILLS, argument="norm")
  wide = jnp.promote_types(x.dtype, jnp.float32)
  steepness = jnp.abs(slope).astype(wide)
  largest = jnp.max(steepness, initial=0.0)
  # Gradients of 1e-30 would vanish when squared; only their ratio to the value matters.
  weights = steepness / jnp.where(largest > 0, largest, 1.0)
  wanted = jnp.abs(jnp.asarray(value, wide)) / jnp.where(largest > 0, largest, 1.0)
  direction = -jnp.sign(jnp.asarray(value, wide)) * jnp.sign(slope.astype(wide))
  low, high = bounds
  room = jnp.maximum(jnp.where(direction > 0, high - x, x - low).astype(wide), 0.0)
  reachable = jnp.sum(weights * room)
  filled = FILLS[norm.name](weights, room, jnp.minimum(wanted, reachable))
  return (direction * jnp.where(wanted < reachable, filled, room)).astype(x.dtype)


def _fill_evenly(weights: Array, room: Array, amount: Array) -> Array:
  """All pixels rise together, each until it is full: the least maximum."""
  return _fill_at_speed(jnp.ones_like(weights), weights, room, amount)


def _fill_by_weight(weights: Array, room: Array, amount: Array) -> Array:
  """Pixels rise in proportion to their weights, each until it is full: the least square sum."""
  return _fill_at_speed(weights, weights, room, amount)


def _fill_at_speed(speed: Array, weights: Array, room: Array, amount: Array) -> Array:
  """min(room, level * speed) for the level at which sum weights * min(...) = amount.

  That sum is concave and piecewise linear in the level, so Newton's steps from 0 approach from
  below, never beyond the solution, and end exactly at it. The product of what is missing and of the
  sum's slope falls at least fourfold with every step: few are needed.
  """

  def newton(state: tuple[Array, Array]) -> tuple[Array, Array]:
    level, _ = state
    full = room <= level * speed
    missing = amount - jnp.sum(jnp.where(full, weights * room, 0.0))
    rate = jnp.sum(jnp.where(full, 0.0, weights * speed))
    next_level = missing / jnp.where(rate > 0, rate, 1.0)
    # Rounding may leave a last step downwards or one along no slope; neither is taken.
    rises = (rate > 0) & (next_level > level)
    return jnp.where(rises, next_level, level), rises

  start = jnp.zeros((), weights.dtype), jnp.ones((), bool)
  level, _ = jax.lax.while_loop(lambda state: state[1], newton, start)
  return jnp.minimum(room, level * speed)


def _fill_heaviest_first(weights: Array, room: Array, amount: Array) -> Array:
  """The heaviest pixels are filled one after the other: the least sum.

  The weight of the last one is found by bisection of its binary digits, which order non-negative
  floating-point numbers as integers do, so that it is exact after as many passes as there are
  digits. Pixels of exactly this weight share what is left.
  """
  integer = jnp.int32 if weights.dtype.itemsize == 4 else jnp.int64
  digits = jax.lax.bitcast_convert_type(weights, integer)
  gains = weights * room

  def halve(state: tuple[Array, Array]) -> tuple[Array, Array]:
    enough, too_heavy = state
    middle = enough + (too_heavy - enough) // 2
    suffices = jnp.sum(jnp.where(digits >= middle, gains, 0.0)) >= amount
    return jnp.where(suffices, middle, enough), jnp.where(suffices, too_heavy, middle)

  heaviest = jnp.max(digits, initial=0)
  last, _ = jax.lax.while_loop(
    lambda state: state[1] - state[0] > 1, halve, (jnp.zeros((), integer), heaviest + 1)
  )
  left = amount - jnp.sum(jnp.where(digits > last, gains, 0.0))
  shared = jnp.sum(jnp.where(digits == last, gains, 0.0))
  share = jnp.clip(left / jnp.where(shared > 0, shared, 1.0), 0.0, 1.0)
  return room * jnp.where(digits > last, 1.0, jnp.where(digits == last, share, 0.0))


FILLS: dict[str, Callable[[Array, Array, Array], Array]] = {
  "linf": _fill_evenly,
  "l2": _fill_by_weight,
  "l1": _fill_heaviest_first,
}
