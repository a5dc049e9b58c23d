"""Fast minimum-norm attacks (FMN): gradient steps in a ball that grows and shrinks."""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.minimal_norm import (
  DUALS,
  fools,
  lead_needed,
  margin,
  nearer,
  nothing_found,
  result,
)
from robust_saliency.attacks.registry import attack
from robust_saliency.attacks.steps import is_stuck
from robust_saliency.attacks.threat import check_attack_arguments, check_numbers, within_ball
from robust_saliency.core import (
  L2,
  Key,
  LogitsFn,
  Norm,
  PixelBounds,
  checks,
  detached,
  full_precision,
  get_norm,
  repeat,
)
from robust_saliency.core.tracing import wide_dtype, widened


@attack
@full_precision
def fmn(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  norm: str | Norm = "linf",
  epsilon: Array | float | None = None,
  steps: int = 100,
  step_size: Array | float | None = None,
  final_step_size: Array | float | None = None,
  gamma: Array | float = 0.05,
  final_gamma: Array | float = 0.001,
  targeted: bool = False,
  bounds: PixelBounds = (0.0, 1.0),
  unroll: bool | int | None = None,
) -> Array:
  """Ascends the margin within a ball that shrinks after success and grows after failure.

      x_{t+1} = P_t(x_t + step_size_t * g / ||g||_2),  g = grad(max_{j != y} z_j - z_y)
      radius_{t+1} = min((1 - gamma_t) radius_t, nearest distance)   where x_t fools the model,
                     (1 + gamma_t) radius_t                          where another did before,
                     (1 + gamma_t) (||x_t - x|| + |margin| / ||g||_q)  where none did yet,

  where P_t projects onto the ball of this radius and then clips to the bounds; with `targeted`, the
  margin and g have the other sign. Step size and gamma fall from their first to their final value
  along half a cosine. (The source has no factor 1 + gamma_t in the last line; without it a linear
  model is led to its boundary and no further.)

  Args:
    key: not used.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within `bounds`.
    y: int [B], the true classes, or with `targeted` the classes to reach.
    norm: "linf", "l2" or "l1", in which nearness is meant.
    epsilon: if given, only images within this distance are returned (traced).
    steps: number of gradient steps (static).
    step_size: Euclidean length of the first step, in pixel units (traced); None for 10 in linf and
      1 in l2 and l1.
    final_step_size: of the last step (traced); None for a hundredth of the first.
    gamma: by what fraction the radius changes at first (traced).
    final_gamma: and at last (traced).
    targeted: whether y are targets.
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    unroll: see `pgd`.

  Returns:
    The nearest adversarial images found [B, H, W, C], within `bounds`; x itself where none was
    found, where it is further away than epsilon, or where x is misclassified (as y) already.

  Source: Pintor et al. 2021, "Fast minimum-norm adversarial attacks through adaptive norm
  constraints", algorithm 1.

  >>> x_adv = fmn(jax.random.key(0), lambda x: x.reshape(1, 2), jnp.array([[[[0.6, 0.4]]]]),
  ...             jnp.array([0]))
  >>> (x_adv.round(2) + 0.0).tolist()
  [[[[0.5, 0.5]]]]
  """
  del key
  norm = get_norm(norm)
  checks.one_of(norm.name, DUALS, argument="norm")
  check_attack_arguments(
    logits_fn, x, y, epsilon=0.0 if epsilon is None else epsilon, bounds=bounds
  )
  checks.count(steps=steps)
  if step_size is None:
    step_size = 10.0 if norm.name == "linf" else 1.0
  check_numbers(step_size=step_size, gamma=gamma, final_gamma=final_gamma)
  if final_step_size is None:
    final_step_size = step_size / 100
  check_numbers(final_step_size=final_step_size)
  checks.fraction(gamma=gamma, final_gamma=final_gamma)
  checks.flag(targeted=targeted)
  checks.unrolled(unroll)
  x = jax.lax.stop_gradient(x)
  model = detached(logits_fn, x)
  low, high = bounds
  farthest = norm.length(jnp.full(x.shape[1:], high - low, x.dtype))

  def judge(images: Array) -> tuple[Array, tuple[Array, Array]]:
    logits = model(images)
    leads = margin(logits, y, targeted)
    # A little beyond the boundary, since what is at it has no way to go.
    missing = jnp.abs(leads - 2 * lead_needed(logits))
    return jnp.sum(leads), (missing, fools(logits, y, targeted))

  def step(i: Array | int, state: tuple) -> tuple:
    reached, radius, nearest = state
    images = reached.astype(x.dtype)
    (_, (missing, fooled)), gradient = jax.value_and_grad(judge, has_aux=True)(images)
    # In l1 a pixel that already stands at the bound it is pushed to would take the whole radius.
    gradient = jnp.where(is_stuck(images, gradient, bounds), 0.0, gradient)
    gradient, missing = jnp.nan_to_num(gradient), jnp.nan_to_num(missing)
    length = jax.vmap(norm.length)(reached - x)
    steepness = jax.vmap(DUALS[norm.name].length)(gradient)
    to_boundary = jnp.where(
      steepness > 0, missing / jnp.where(steepness > 0, steepness, 1.0), jnp.inf
    )
    found_before = jnp.isfinite(nearest.distance)
    nearest = nearer(norm, x, images, fooled, nearest)
    still = jnp.asarray((1 + jnp.cos(jnp.pi * i / steps)) / 2, wide_dtype(x))  # from 1 to 0
    change = final_gamma + (gamma - final_gamma) * still
    radius = jnp.where(
      fooled,
      jnp.minimum(radius * (1 - change), nearest.distance),
      (1 + change) * jnp.where(found_before, radius, length + to_boundary),
    )
    radius = jnp.minimum(radius, farthest).astype(wide_dtype(x))
    reach = final_step_size + (step_size - final_step_size) * still
    candidates = reached + (reach * jax.vmap(L2.steepest)(gradient)).astype(reached.dtype)

    def project(candidate: Array, image: Array, radius: Array) -> Array:
      return within_ball(norm, radius, bounds)(candidate, image)

    return jax.vmap(project)(candidates, widened(x), radius), radius, nearest

  nearest = nothing_found(x, model(x), y, targeted)
  # In half precision, steps that are shorter than its rounding still have to add up.
  state = (widened(x), jnp.full_like(nearest.distance, jnp.inf), nearest)
  reached, _, nearest = repeat(step, state, times=steps, unroll=unroll)
  images = reached.astype(x.dtype)
  nearest = nearer(norm, x, images, fools(model(images), y, targeted), nearest)
  return result(nearest, x, epsilon)
