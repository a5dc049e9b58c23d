"""The attack of Carlini & Wagner: the nearest adversarial image in l2, by penalty and Adam."""

import jax
import jax.numpy as jnp
import optax
from jax import Array

from robust_saliency.attacks.minimal_norm import Nearest, nearer, result
from robust_saliency.attacks.registry import attack
from robust_saliency.attacks.threat import check_attack_arguments, check_numbers
from robust_saliency.core import (
  L2,
  Key,
  LogitsFn,
  PixelBounds,
  checks,
  detached,
  full_precision,
  repeat,
)
from robust_saliency.core.losses import cw_margin
from robust_saliency.core.predictions import is_correct
from robust_saliency.core.tracing import others_promotions, widened

# Pixels at a bound would lie infinitely far out; the authors' code pulls all in by as much.
WITHIN_TANH = 0.999999


@attack(norm="l2")
@full_precision
def cw_l2(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  epsilon: Array | float | None = None,
  steps: int = 1000,
  binary_search_steps: int = 9,
  initial_constant: Array | float = 1e-3,
  learning_rate: Array | float = 0.01,
  confidence: Array | float = 0.0,
  targeted: bool = False,
  bounds: PixelBounds = (0.0, 1.0),
  unroll: bool | int | None = None,
) -> Array:
  """Minimises distance plus penalty over images that cannot leave the bounds.

      min_w ||x(w) - x||_2^2 + c max(confidence - m(x(w)), 0),
      x(w) = low + (high - low) (1 + tanh w) / 2,

  by Adam, where m = max_{j != y} z_j - z_y (with `targeted` the reverse). Each image has its own
  c: it is multiplied by ten until a search finds an adversarial image, then bisected.

  Args:
    key: not used, nothing is random.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within `bounds`.
    y: int [B], the true classes, or with `targeted` the classes to reach.
    epsilon: if given, only images within this l2 distance are returned (traced).
    steps: number of Adam's steps for each c (static).
    binary_search_steps: number of constants c tried (static).
    initial_constant: the first c (traced).
    learning_rate: of Adam, in units of w (traced).
    confidence: the margin m that an adversarial image must have at least, in logits (traced).
    targeted: whether y are targets.
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    unroll: see `pgd`; of Adam's steps.

  Returns:
    The nearest adversarial images found [B, H, W, C], within `bounds`; x itself where none was
    found, where it is further away than epsilon, or where x is adversarial already.

  Source: Carlini & Wagner 2017, "Towards evaluating the robustness of neural networks", sections
  V-B, V-C and VI-A. The authors' code also ends a search whose loss (summed over the batch) stands
  still, which would couple the images.

  >>> x_adv = cw_l2(jax.random.key(0), lambda x: x.reshape(1, 2), jnp.array([[[[0.6, 0.4]]]]),
  ...               jnp.array([0]), steps=100)
  >>> (x_adv.round(2) + 0.0).tolist()
  [[[[0.5, 0.5]]]]
  """
  del key
  check_attack_arguments(
    logits_fn, x, y, epsilon=0.0 if epsilon is None else epsilon, bounds=bounds
  )
  checks.count(steps=steps, binary_search_steps=binary_search_steps)
  checks.flag(targeted=targeted)
  checks.unrolled(unroll)
  check_numbers(confidence=confidence)
  checks.scalar(initial_constant=initial_constant, learning_rate=learning_rate)
  checks.positive(initial_constant=initial_constant, learning_rate=learning_rate)
  x = jax.lax.stop_gradient(x)
  model = detached(logits_fn, x)
  sign = -1.0 if targeted else 1.0
  low, high = bounds
  # In half precision the bounds would lie infinitely far out after all.
  wide = widened(x)
  optimizer = optax.adam(jnp.asarray(learning_rate, wide.dtype))
  start = jnp.arctanh(WITHIN_TANH * jnp.clip(2 * (wide - low) / (high - low) - 1, -1, 1))

  def pixels(w: Array) -> Array:
    return jnp.clip(low + (high - low) * (1 + jnp.tanh(w)) / 2, low, high).astype(x.dtype)

  def judge(images: Array) -> tuple[Array, Array]:
    """The margin, and whether the image counts as adversarial, per example."""
    logits = model(images)
    margin = sign * cw_margin(logits, y)
    fools = is_correct(logits, y) == targeted
    return margin, fools & (margin >= confidence)  # a margin of NaN compares false

  def objective(w: Array, constant: Array) -> tuple[Array, tuple[Array, Array]]:
    images = pixels(w)
    margin, adversarial = judge(images)
    penalty = constant * jnp.maximum(confidence - margin, 0)
    return jnp.sum((widened(images) - wide) ** 2) + jnp.sum(penalty), (images, adversarial)

  def search(_: Array | int, state: tuple) -> tuple:
    constant, too_small, large_enough, nearest = state

    def step(_: Array | int, state: tuple) -> tuple:
      w, optimizer_state, found, nearest = state
      gradient, (images, adversarial) = jax.grad(objective, has_aux=True)(w, constant)
      # Adam works number by number, so that no image's step depends on another's.
      with others_promotions():
        moves, optimizer_state = optimizer.update(jnp.nan_to_num(gradient), optimizer_state)
      nearest = nearer(L2, x, images, adversarial, nearest)
      return w + moves, optimizer_state, found | adversarial, nearest

    state = (start, optimizer.init(start), jnp.zeros(x.shape[0], bool), nearest)
    w, _, found, nearest = repeat(step, state, times=steps, unroll=unroll)
    images = pixels(w)
    adversarial = judge(images)[1]
    nearest = nearer(L2, x, images, adversarial, nearest)
    found = found | adversarial
    large_enough = jnp.where(found, jnp.minimum(large_enough, constant), large_enough)
    too_small = jnp.where(found, too_small, jnp.maximum(too_small, constant))
    constant = jnp.where(jnp.isinf(large_enough), 10 * constant, (too_small + large_enough) / 2)
    return constant, too_small, large_enough, nearest

  distance = jnp.where(judge(x)[1], 0.0, jnp.inf).astype(wide.dtype)
  state = (
    jnp.full_like(distance, initial_constant),
    jnp.zeros_like(distance),
    jnp.full_like(distance, jnp.inf),
    Nearest(x, distance),
  )
  *_, nearest = repeat(search, state, times=binary_search_steps, unroll=False, holds_loops=True)
  return result(nearest, x, epsilon)
