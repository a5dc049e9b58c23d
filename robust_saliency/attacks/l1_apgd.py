"""How Auto-PGD moves in l1: along few pixels at a time, from balls that are larger at first."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attacks.apgd_steps import Peak, StepRule
from robust_saliency.attacks.l1_box import l1_ball_within_bounds
from robust_saliency.attacks.steps import is_stuck
from robust_saliency.core import Key, PixelBounds

# The radius begins at 3 epsilon for 30 % of the steps, then 2 epsilon for as many.
LARGER_RADII = (3.0, 2.0)
PERCENT_OF_STEPS = 30


class Sparse(NamedTuple):
  """What one image remembers between the steps of `sparse_steps`."""

  step_size: Array
  moved_at_once: Array
  changed: Array
  peak: Peak


class Schedule(NamedTuple):
  """The passes of all radii one after the other; each is an array over the passes.

  Attributes:
    radius: in units of epsilon, that of the step taken in this pass.
    next_radius: that of the image which the pass gives; another one where a phase ends.
    ends: whether the pass goes on to the next radius instead of taking a step.
    checks: whether sparsity and step size are adapted.
    allowed_from: the first pass with radius epsilon.
  """

  radius: np.ndarray
  next_radius: np.ndarray
  ends: np.ndarray
  checks: np.ndarray
  allowed_from: int


def schedule(steps: int) -> Schedule:
  """The passes that take `steps` steps, at 3, 2 and 1 epsilon for 30, 30 and 40 % of them.

  >>> schedule(10).radius.tolist()
  [3.0, 3.0, 3.0, 3.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0]
  """
  early = PERCENT_OF_STEPS * steps // 100
  phases = [(radius, early, True) for radius in LARGER_RADII if early]
  phases.append((1.0, steps - early * len(phases), False))
  rows = []
  for radius, length, goes_on in phases:
    every = max(4 * length // 100, 1)
    rows += [(radius, False, j > 0 and j % every == 0) for j in range(length)]
    if goes_on:
      rows.append((radius, True, False))
  radii, ends, checks = map(np.array, zip(*rows, strict=True))
  radii = radii.astype(np.float32)
  allowed_from = int(np.argmin(radii))
  return Schedule(radii, np.append(radii[1:], 1.0).astype(np.float32), ends, checks, allowed_from)


def sparse_steps(epsilon: Array | float, bounds: PixelBounds, *, steps: int) -> StepRule:
  """Auto-PGD's steps in l1.

  A step of length s changes by s / k each of the k pixels with the largest gradients. At checks,
  k becomes 2/3 of the number of pixels that the best image so far has changed; if that number has
  shrunk by more than 5 %, s returns to the radius and the image to the best one, otherwise s falls
  by 1.5, to a tenth of the radius at least. The radius is 3, 2 and 1 epsilon for 30, 30 and 40 % of
  the steps; each phase starts from the best image of the one before, projected onto its own ball.

  Args:
    epsilon: the final radius (traced).
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    steps: number of steps (static).

  Source: Croce & Hein 2021, "Mind the box", sections 3 and 4; in each phase the checks come every
  4 % of its own steps, and k starts from the pixels that its start has changed, as in the
  authors' code. Unlike there, pixels that stand at the bound they are pushed to are skipped.
  """
  low, high = bounds
  passes = schedule(steps)

  def start(key: Key, origin: Array) -> Array:
    # As wide as the narrowest channel: in units of epsilon a channel without a radius is so wide
    # that its noise would spend the whole budget.
    width = jnp.min(jnp.asarray(high) - jnp.asarray(low)).astype(origin.dtype)
    noise = width * jax.random.normal(key, origin.shape, origin.dtype)
    return l1_ball_within_bounds(origin + noise, origin, passes.radius[0] * epsilon, bounds)

  def phase(image: Array, origin: Array, radius: Array | float) -> Sparse:
    changed = jnp.sum(image != origin)
    # From the image itself, a fifth of the pixels.
    moved_at_once = jnp.where(changed > 0, changed * 2 // 3, image.size // 5)
    return Sparse(
      step_size=jnp.asarray(radius, image.dtype),
      moved_at_once=moved_at_once.astype(jnp.int32),
      changed=jnp.where(changed > 0, changed, image.size).astype(jnp.int32),
      peak=Peak.unseen(image),
    )

  def initialize(image: Array, origin: Array) -> Sparse:
    return phase(image, origin, passes.radius[0] * epsilon)

  def update(
    i: Array | int, state: Sparse, origin: Array, image: Array, gradient: Array, loss: Array
  ) -> tuple[Array, Sparse]:
    radius = jnp.asarray(passes.radius)[i] * epsilon
    next_radius = jnp.asarray(passes.next_radius)[i] * epsilon
    ends, check = jnp.asarray(passes.ends)[i], jnp.asarray(passes.checks)[i]
    peak = state.peak.climbed(image, gradient, loss)

    changed = jnp.sum(peak.image != origin)
    sparser = check & (changed.astype(float) < 0.95 * state.changed.astype(float))
    slower = jnp.clip(state.step_size / 1.5, radius / 10, radius)
    step_size = jnp.where(sparser, radius, jnp.where(check, slower, state.step_size))
    image = jnp.where(sparser, peak.image, image)
    gradient = jnp.where(sparser, peak.gradient, gradient)
    moved_at_once = jnp.where(check, changed * 2 // 3, state.moved_at_once)

    direction = _sparse_sign(gradient, moved_at_once, image, bounds)
    target = image + step_size.astype(image.dtype) * direction
    target = jnp.where(ends, peak.image, target)
    following = l1_ball_within_bounds(target, origin, next_radius, bounds)
    stepped = Sparse(
      step_size.astype(state.step_size.dtype),
      moved_at_once.astype(jnp.int32),
      jnp.where(check, changed, state.changed).astype(jnp.int32),
      peak,
    )
    fresh = phase(following, origin, next_radius)
    return following, jax.tree.map(lambda a, b: jnp.where(ends, a, b), fresh, stepped)

  return StepRule(len(passes.radius), passes.allowed_from, start, initialize, update)


def largest(values: Array, count: Array | int) -> Array:
  """Which of the values [N] >= 0 are among the `count` >= 1 largest (ties included) and not 0.

  Sorting costs 25 times as much on CPU as this search for the threshold, bit by bit: floats >= 0
  are ordered as the integers that their bits spell.

  >>> largest(jnp.array([0.1, 0.4, 0.0, 0.3]), 2).tolist()
  [False, True, False, True]
  """
  most = jnp.max(values, initial=0.0)
  scaled = (values / jnp.where(most > 0, most, 1.0)).astype(jnp.float32)
  bits = jax.lax.bitcast_convert_type(scaled, jnp.int32)

  def try_bit(i: Array, threshold: Array) -> Array:
    higher = threshold | (1 << (29 - i))  # the highest bit of 1.0 is number 29
    return jnp.where(jnp.sum(bits >= higher) >= count, higher, threshold)

  threshold = jax.lax.fori_loop(0, 30, try_bit, jnp.int32(0))
  return (bits >= threshold) & (bits > 0)


def _sparse_sign(gradient: Array, count: Array, image: Array, bounds: PixelBounds) -> Array:
  """The signs of the `count` largest gradients that pixels can follow, scaled to l1 length 1."""
  # As in `steepest_steps`: pushing pixels through their bound would waste most of the budget of
  # images with flat black or white parts.
  magnitude = jnp.where(is_stuck(image, gradient, bounds), 0.0, jnp.abs(gradient))
  chosen = largest(magnitude.reshape(-1), jnp.maximum(count, 1)).reshape(image.shape)
  signs = jnp.where(chosen, jnp.sign(gradient), 0.0)
  return signs / jnp.maximum(jnp.sum(chosen), 1).astype(signs.dtype)
