"""JSMA: the Jacobian-based saliency map attack, which changes few pixels as far as they go."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.registry import attack
from robust_saliency.core import (
  Bounds,
  Key,
  LogitsFn,
  checks,
  detached,
  full_precision,
  map_batches,
)

# How many of the N^2 pairs of every image are looked at together: 4 MiB, which a cache holds.
PAIRS_AT_ONCE = 2**20


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
  bounds: Bounds = (0.0, 1.0),
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
    bounds: (low, high) of the pixels.
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
  checks.pixel_bounds(bounds)
  checks.images(x, bounds=bounds)
  classes = checks.number_of_classes(logits_fn, x)
  checks.labels(y, batch=x.shape[0], classes=classes)
  checks.flag(targeted=targeted)
  checks.scalar(theta=theta, gamma=gamma)
  checks.fraction(gamma=gamma)
  if checks.is_concrete(theta) and not (math.isfinite(theta) and theta != 0):
    raise ValueError(f"theta must be a number other than 0, got {theta}")
  # Loops whose number of steps is not known have no gradient, and none is wanted.
  x, theta, gamma = jax.lax.stop_gradient((x, theta, gamma))
  low, high = bounds
  rising = theta > 0
  size = x[0].size
  # Without the margin, float32 would take a pair off where gamma * size is a whole number.
  pairs = jnp.floor(gamma * size / 2 + 1e-3)

  def search(x: Array, y: Array) -> Array:
    constant_logits_fn = detached(logits_fn, x)
    labels = jnp.arange(classes) == y[:, None]
    logits = constant_logits_fn(x)
    others = jnp.where(labels, -jnp.inf, logits)
    target = y if targeted else jnp.argmax(others, axis=1)
    is_target = (jnp.arange(classes) == target[:, None]).astype(logits.dtype)

    def goes_on(state: tuple) -> Array:
      pair, _, _, active = state
      return (pair < pairs) & jnp.any(active)

    def move_pair(state: tuple) -> tuple:
      pair, images, free, _ = state
      logits, pullback = jax.vjp(constant_logits_fn, images)
      done = (jnp.argmax(logits, axis=1) == y) == targeted
      active = ~done & (jnp.sum(free, axis=1) > 1)
      slopes = (pullback(cotangent)[0] for cotangent in (is_target, 1 - is_target))
      towards, away = (
        jnp.where(rising, slope, -slope).reshape(free.shape).astype(jnp.float32) for slope in slopes
      )
      p, q = most_salient_pairs(towards, away, free)
      chosen = jax.nn.one_hot(p, size, dtype=int) + jax.nn.one_hot(q, size, dtype=int)
      times = jnp.where(active[:, None], chosen, 0)
      pixels = images.reshape(free.shape)
      moved = jnp.clip(pixels + theta * times, low, high).astype(images.dtype)
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
  batch, size = towards.shape
  rows = min(size, max(1, PAIRS_AT_ONCE // (batch * size)))

  def saliency(pixels: Array) -> Array:
    """Of pixels [B, P] with every pixel, [B, P, N]."""

    def of_pairs(numbers: Array, combine: Callable[[Array, Array], Array]) -> Array:
      return combine(jnp.take_along_axis(numbers, pixels, axis=1)[..., None], numbers[:, None])

    a, b = of_pairs(towards, jnp.add), of_pairs(away, jnp.add)
    two = pixels[..., None] != jnp.arange(size)
    admissible = (a > 0) & (b < 0) & of_pairs(free, jnp.logical_and) & two
    return jnp.where(admissible, -a * b, 0.0)

  def largest_of_rows(i: Array | int, largest: Array) -> Array:
    # The last rows reach back: some are computed twice.
    start = jnp.minimum(i * rows, size - rows)
    pixels = jnp.broadcast_to(start + jnp.arange(rows), (batch, rows))
    return jax.lax.dynamic_update_slice_in_dim(
      largest, jnp.max(saliency(pixels), axis=2), start, axis=1
    )

  blocks = math.ceil(size / rows)
  largest = jax.lax.fori_loop(0, blocks, largest_of_rows, jnp.zeros_like(towards))
  p = jnp.argmax(largest, axis=1)
  return p, jnp.argmax(saliency(p[:, None])[:, 0], axis=1)
