"""JSMA: the Jacobian-based saliency map attack, which changes few pixels as far as they go."""

import math

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.registry import attack
from robust_saliency.attacks.threat import flat_bounds
from robust_saliency.core import (
  Key,
  LogitsFn,
  PixelBounds,
  checks,
  detached,
  full_precision,
  map_batches,
)
from robust_saliency.core.losses import other_logits
from robust_saliency.core.predictions import is_correct
from robust_saliency.core.tracing import widened


@attack(norm="l0")
@full_precision
def jsma(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  theta: Array | float = 1.0,
  gamma: Array | float = 0.25,
  targeted: bool = False,
  bounds: PixelBounds = (0.0, 1.0),
  chunk_size: int | None = None,
) -> Array:
  """Moves two pixels at a time by theta, those that lead most directly to the target class t.

  With a_i = dz_t/dx_i and b_i the sum of dz_k/dx_i over the other classes k, the next pair is

      argmax_{p != q} -(a_p + a_q) (b_p + b_q)   where  a_p + a_q > 0  and  b_p + b_q < 0

  (both signs turned round if theta < 0, when pixels are lowered) among the pixels that were not
  chosen before and did not stand at the bound at first. An image is left alone as soon as it
  reaches its target, once gamma of its numbers are spent, or when less than two are left. It is
  returned as it is then, whether it reached the target or not.

  As in the source, where no pair has these signs pixel 0 is moved (twice), and a pair is spent.

  Args:
    key: not used, nothing is random.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within `bounds`. A "pixel" above is any of an image's H * W * C numbers.
    y: int [B]: with `targeted` the classes to reach; otherwise the true classes, and the target is
      the likeliest other class of the image, or any other that is met on the way to it.
    theta: what is added to a pixel, cut at `bounds` (traced; not 0).
    gamma: the share of the numbers that may be changed, 0 to 1 (traced): floor(gamma H W C / 2)
      pairs.
    targeted: whether y are targets.
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    chunk_size: images per model call (static); None for all of them.

  Returns:
    Images [B, H, W, C] within `bounds`, of which at most a share of gamma is changed.

  Source: Papernot et al. 2016, "The limitations of deep learning in adversarial settings",
  algorithms 2 and 3, of logits and with the conditions of cleverhans 2.0.0 as Ross &
  Doshi-Velez 2018 ran it (theta 1, gamma 0.25).

  >>> x_adv = jsma(jax.random.key(0), lambda x: x.reshape(1, 4) @ jnp.array([[3.0, -3.0],
  ...   [1.0, -1.0], [-2.0, 2.0], [-3.0, 3.0]]), jnp.full((1, 2, 2, 1), 0.5), jnp.array([1]),
  ...   gamma=0.5)
  >>> x_adv.reshape(4).tolist()
  [1.0, 1.0, 0.5, 0.5]
  """
  del key
  checks.images(x, bounds=bounds, per_channel=True)
  classes = checks.number_of_classes(logits_fn, x)
  checks.labels(y, batch=x.shape[0], classes=classes)
  checks.flag(targeted=targeted)
  checks.scalar(theta=theta, gamma=gamma)
  checks.fraction(gamma=gamma)
  checks.non_zero(theta=theta)
  # Loops whose number of steps is not known have no gradient, and none is wanted.
  x, theta, gamma = jax.lax.stop_gradient((x, theta, gamma))
  low, high = flat_bounds(bounds, x.shape[1:])
  rising = theta > 0
  size = math.prod(x.shape[1:])
  # Without the margin, float32 would take a pair off where gamma * size is a whole number.
  pairs = jnp.floor(gamma * size / 2 + 1e-3)

  def search(x: Array, y: Array) -> Array:
    constant_logits_fn = detached(logits_fn, x)
    logits = constant_logits_fn(x)
    others = other_logits(logits, y)
    target = y if targeted else jnp.argmax(others, axis=1)
    is_target = (jnp.arange(classes)[None] == target[:, None]).astype(logits.dtype)

    def goes_on(state: tuple) -> Array:
      pair, _, _, active = state
      return (pair < pairs) & jnp.any(active)

    def move_pair(state: tuple) -> tuple:
      pair, images, free, _ = state
      logits, pullback = jax.vjp(constant_logits_fn, images)
      done = is_correct(logits, y) == targeted
      active = ~done & (jnp.sum(free, axis=1) > 1)
      slopes = (pullback(cotangent)[0] for cotangent in (is_target, 1 - is_target))
      towards, away = (
        jnp.where(rising, slope, -slope).reshape(free.shape).astype(jnp.float32) for slope in slopes
      )
      p, q = most_salient_pairs(towards, away, free)
      chosen = jax.nn.one_hot(p, size, dtype=int) + jax.nn.one_hot(q, size, dtype=int)
      times = jnp.where(active[:, None], chosen, 0)
      pixels = images.reshape(free.shape)
      wide = widened(pixels)
      wide = wide + jnp.asarray(theta, wide.dtype) * times.astype(wide.dtype)
      moved = jnp.clip(wide, low, high).astype(images.dtype)
      images = jnp.where(times > 0, moved, pixels).reshape(images.shape)
      return pair + 1, images, free & (times == 0), active

    flat = x.reshape(x.shape[0], size)
    free = jnp.where(rising, flat < high, flat > low)
    start = (jnp.asarray(0), x, free, jnp.ones(x.shape[0], bool))
    return jax.lax.while_loop(goes_on, move_pair, start)[1]

  return jax.lax.stop_gradient(map_batches(search, x, y, chunk_size=chunk_size))


def most_salient_pairs(towards: Array, away: Array, free: Array) -> tuple[Array, Array]:
  """The pair p, q of free pixels with the largest saliency, per image.

  Args:
    towards: the target logit's derivatives [B, N].
    away: the derivatives of the other logits' sum [B, N].
    free: which pixels may be chosen, bool [B, N].

  Returns:
    p and q, int [B]: of two pairs with the same saliency the first, in the order of p and then of
    q; (0, 0) where no pair is admissible.
  """
  free = free & ~jnp.isnan(towards) & ~jnp.isnan(away)
  a, b = jnp.where(free, towards, -jnp.inf), jnp.where(free, away, jnp.inf)
  numbers = jnp.arange(a.shape[1])[None]

  def saliency(other: Array) -> Array:
    """Of every pixel with one other of each image, [B, N]."""
    sum_a, sum_b = (one + jnp.take_along_axis(one, other, axis=1) for one in (a, b))
    admissible = (sum_a > 0) & (sum_b < 0) & (numbers != other)
    return jnp.where(admissible, -sum_a * sum_b, 0.0)

  # For any w, -w A B <= ((w A - B) / 2)^2. So the pixels of a pair that is as salient as another
  # have (w a - b)_p + (w a - b)_q >= 2 sqrt(w saliency). With a w that brings both derivatives to
  # one scale few pixels can have that, even where one derivative nearly opposes the other.
  size_a, size_b = (jnp.where(free, jnp.abs(one), 0.0) for one in (a, b))
  weight = jnp.sqrt(jnp.sum(size_b**2, axis=1) / jnp.sum(size_a**2, axis=1))[:, None]
  height = jnp.where(free, weight * a - b, -jnp.inf)
  highest = jnp.max(height, axis=1, keepdims=True)
  rounding = 1e-5 * jnp.max(weight * size_a + size_b, axis=1, keepdims=True)

  def may_reach(largest: Array) -> Array:
    """Which pixels may be in a pair as salient as the best so far, [B, N]."""
    best = jnp.max(largest, axis=1, keepdims=True)
    # Written so that NaN, of derivatives that are infinite or all 0, excludes none.
    return ~(height < 2 * jnp.sqrt(weight * best) - highest - rounding)

  # Sums and products of floats never fall when a number in them grows. So a partner need only be
  # sought among the pixels that at most one other beats in both derivatives (that one may be the
  # first of the pair). By falling a, these are the pixels whose b is below the second least so far.
  def with_next_partner(state: tuple) -> tuple:
    largest, left, least, second_least = state
    steepest = jnp.max(jnp.where(left, a, -jnp.inf), axis=1, keepdims=True)
    partner = jnp.argmax(left & (a == steepest), axis=1, keepdims=True)
    found = jnp.take_along_axis(left, partner, axis=1)
    largest = jnp.where(found, jnp.maximum(largest, saliency(partner)), largest)
    its_b = jnp.where(found, jnp.take_along_axis(b, partner, axis=1), jnp.inf)
    second_least = jnp.minimum(second_least, jnp.maximum(its_b, least))
    left = left & (numbers != partner) & (b < second_least) & may_reach(largest)
    return largest, left, jnp.minimum(least, its_b), second_least

  largest = saliency(jnp.argmax(height, axis=1, keepdims=True))
  none = jnp.full((a.shape[0], 1), jnp.inf, b.dtype)
  largest, *_ = jax.lax.while_loop(
    lambda state: jnp.any(state[1]),
    with_next_partner,
    (largest, free & may_reach(largest), none, none),
  )
  p = jnp.argmax(largest, axis=1)
  return p, jnp.argmax(saliency(p[:, None]), axis=1)
