"""DeepFool: to the nearest linearised boundary, again and again, until it is crossed."""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.minimal_norm import (
  Nearest,
  fools,
  likeliest_others,
  nearer,
  nearest_boundary,
  nothing_found,
  result,
)
from robust_saliency.attacks.registry import attack
from robust_saliency.attacks.threat import check_attack_arguments, check_numbers
from robust_saliency.core import (
  Key,
  LogitsFn,
  Norm,
  PixelBounds,
  checks,
  compiled_once,
  detached,
  full_precision,
  get_norm,
  repeat,
)
from robust_saliency.core.per_example import per_example
from robust_saliency.core.tracing import widened

NORM_NAMES = ("linf", "l2")


@attack
@full_precision
def deepfool(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  norm: str | Norm = "l2",
  epsilon: Array | float | None = None,
  steps: int = 50,
  overshoot: Array | float = 0.02,
  candidates: int = 10,
  targeted: bool = False,
  bounds: PixelBounds = (0.0, 1.0),
  unroll: bool | None = None,
) -> Array:
  """Moves each image over the nearest linearised boundary until the model is fooled.

      x_{t+1} = P(x + (1 + overshoot) r_t),  r_t = r_{t-1} + |z_k - z_y| / ||w||_q * d(w)

  with w = grad(z_k - z_y) for the class k whose boundary is nearest, d(w) its direction of steepest
  ascent and P clipping to the bounds.

  Args:
    key: not used.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within `bounds`.
    y: int [B], the true classes, or with `targeted` the classes to reach.
    norm: "l2" or "linf", in which the nearest boundary is meant.
    epsilon: if given, only images within this distance are returned (traced).
    steps: the most steps (static); it ends when all images fool the model.
    overshoot: how much further than the boundary, as a fraction of the way (traced).
    candidates: number of classes considered (static): y and the likeliest others, at most all. A
      step needs one backward pass for each of the others.
    targeted: whether y are targets. Then each step goes to the farthest of the boundaries between y
      and the classes that are likeliest there.
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    unroll: True for no compiled loop, which is right for stock convolutions on CPU; all steps are
      then made.

  Returns:
    The adversarial images [B, H, W, C], within `bounds`; x itself where none was found, where it
    is further away than epsilon, or where x is misclassified (as y) already.

  Source: Moosavi-Dezfooli et al. 2016, "DeepFool: a simple and accurate method to fool deep neural
  networks", algorithm 2 and section 3.3.

  >>> x_adv = deepfool(jax.random.key(0), lambda x: x.reshape(1, 2), jnp.array([[[[0.6, 0.4]]]]),
  ...                  jnp.array([0]))
  >>> x_adv.tolist()
  [[[[0.498, 0.502]]]]
  """
  del key
  norm = get_norm(norm)
  checks.one_of(norm.name, NORM_NAMES, argument="norm")
  radius = 0.0 if epsilon is None else epsilon
  classes = check_attack_arguments(logits_fn, x, y, epsilon=radius, bounds=bounds)
  checks.count(steps=steps)
  checks.count(minimum=2, candidates=candidates)
  check_numbers(overshoot=overshoot)
  checks.flag(targeted=targeted)
  checks.unrolled(unroll)
  x, overshoot = jax.lax.stop_gradient((x, overshoot))
  model = detached(logits_fn, x)
  logits = model(x)
  others = likeliest_others(logits, y, min(candidates, classes) - 1)

  def step(_: Array | int, state: tuple[Array, Nearest]) -> tuple[Array, Nearest]:
    reached, nearest = state
    images = reached.astype(x.dtype)
    value, slope = nearest_boundary(
      norm, model, images, y, others, targeted=targeted, unroll=unroll is True
    )
    steepest = jax.vmap(norm.steepest)(slope)
    # <slope, steepest> is the dual norm of the slope.
    rise = jnp.sum(slope * steepest, axis=range(1, x.ndim))
    way = jnp.where(rise > 0, jnp.abs(value) / jnp.where(rise > 0, rise, 1.0), 0.0)
    # The way so far, without the overshoot, which would otherwise compound.
    moved = (reached - x) / (1 + overshoot) + per_example(way, x) * steepest
    reached = jnp.clip(x + (1 + overshoot) * moved, *bounds).astype(reached.dtype)
    images = reached.astype(x.dtype)
    # Only the first image that fools the model counts.
    waits = jnp.isinf(nearest.distance)
    fooled = fools(model(images), y, targeted)
    return reached, nearer(norm, x, images, fooled & waits, nearest)

  # In half precision, steps that are shorter than its rounding still have to add up.
  state = (widened(x), nothing_found(x, logits, y, targeted))
  if unroll is True:
    return result(repeat(step, state, times=steps, unroll=True)[1], x, epsilon)

  def unfinished(counted: tuple[Array, tuple[Array, Nearest]]) -> Array:
    made, (_, nearest) = counted
    return (made < steps) & jnp.isinf(nearest.distance).any()

  @compiled_once
  def search(state: tuple[Array, Nearest]) -> Nearest:
    counted = (jnp.array(0), state)
    return jax.lax.while_loop(unfinished, lambda now: (now[0] + 1, step(0, now[1])), counted)[1][1]

  return result(search(state), x, epsilon)
