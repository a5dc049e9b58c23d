"""The fast adaptive boundary attack (FAB)."""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.hyperplane import step_to_hyperplane
from robust_saliency.attacks.minimal_norm import (
  DUALS,
  Nearest,
  fools,
  likeliest_others,
  margin,
  nearer,
  nearest_boundary,
  nothing_found,
  result,
)
from robust_saliency.attacks.registry import attack
from robust_saliency.attacks.threat import check_attack_arguments
from robust_saliency.core import (
  Key,
  LogitsFn,
  Norm,
  PixelBounds,
  checks,
  detached,
  example_keys,
  full_precision,
  get_norm,
  map_batches,
  repeat,
)
from robust_saliency.core.per_example import per_example
from robust_saliency.core.tracing import wide_dtype, widened

FINAL_SEARCH = 3


@attack
@full_precision
def fab(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  norm: str | Norm = "linf",
  epsilon: Array | float | None = None,
  steps: int = 100,
  restarts: int = 1,
  targets: int | None = 9,
  alpha_max: Array | float = 0.1,
  eta: Array | float = 1.05,
  beta: Array | float = 0.9,
  targeted: bool = False,
  bounds: PixelBounds = (0.0, 1.0),
  unroll: bool | int | None = None,
  chunk_size: int | None = None,
) -> Array:
  """Finds the nearest adversarial image it can, along the boundary between two classes.

  Each step goes to the boundary, linearised at the image reached, from there and from x:

      x_{t+1} = P((1 - alpha) (x_t + eta d(x_t)) + alpha (x + eta d(x)))

  where d(.) is the shortest step to the hyperplane within the bounds, P clips to them and alpha =
  min(||d(x_t)|| / (||d(x_t)|| + ||d(x)||), alpha_max). Where this fools the model, the way back to
  x is shortened by the factor beta. At last the segment from x to the nearest image found is
  searched for the boundary.

  Args:
    key: one PRNG key, or one per example [B]; used by restarts.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within `bounds`.
    y: int [B], the true classes, or with `targeted` the classes to reach.
    norm: "linf", "l2" or "l1", in which nearness is meant.
    epsilon: if given, only images within this distance are returned (traced).
    steps: number of steps of each run (static): two forward passes and one backward pass each.
    restarts: number of runs for each target (static); the first starts at x, others at a random
      point, half as far away at most as the nearest image found (or epsilon, if that is less).
    targets: the targeted attack, FAB-T, in which one run after the other looks for the boundary to
      one class, for that many of the likeliest classes (static; all where there are fewer). None
      for the untargeted one, a single run that takes the nearest boundary at each step, for which
      a step needs one backward pass per class. With `targeted` there is a single run, whose steps
      look at the boundary between y and the class that leads there, or for None at all of y's.
    alpha_max: the most that the step from x counts, 0 to 1 (traced).
    eta: how far steps go, in distances to the boundary; above 1 to cross it (traced).
    beta: what is left of the way to x after success, 0 to 1 (traced).
    targeted: whether y are targets.
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    unroll: how many steps share one pass of the compiled loop; None chooses by platform. True, for
      all steps of all runs, is right for a few steps of stock convolutions on CPU.
    chunk_size: examples attacked at a time (static); None for the whole batch.

  Returns:
    The nearest adversarial images found [B, H, W, C], within `bounds`; x itself where none was
    found, where it is further away than epsilon, or where x is misclassified (as y) already.

  Source: Croce & Hein 2020, "Minimally distorted adversarial examples with a fast adaptive boundary
  attack", algorithm 1; FAB-T: Croce & Hein 2020, "Reliable evaluation of adversarial robustness
  with an ensemble of diverse parameter-free attacks", section 5.

  >>> weights = jnp.array([[1.0, -1.0], [0.0, 0.0]]).T
  >>> x_adv = fab(jax.random.key(0), lambda x: x.reshape(1, 2) @ weights,
  ...             jnp.array([[[[0.6, 0.4]]]]), jnp.array([0]), steps=5)
  >>> x_adv.tolist()
  [[[[0.5, 0.5]]]]
  """
  norm = get_norm(norm)
  checks.one_of(norm.name, DUALS, argument="norm")
  radius = 0.0 if epsilon is None else epsilon
  classes = check_attack_arguments(logits_fn, x, y, epsilon=radius, bounds=bounds)
  checks.count(steps=steps, restarts=restarts)
  checks.scalar(alpha_max=alpha_max, eta=eta, beta=beta)
  checks.fraction(alpha_max=alpha_max, beta=beta)
  checks.non_negative(eta=eta)
  if targets is not None:
    checks.count(targets=targets)
  checks.flag(targeted=targeted)
  checks.unrolled(unroll)
  in_turn = min(targets or 0, classes - 1)  # FAB-T's classes, one after the other
  aims_in_turn = in_turn > 0 and not targeted
  considered = classes - 1 if targets is None else 1 if targeted else in_turn
  low, high = bounds

  def shortest_step(image: Array, slope: Array, value: Array) -> Array:
    return step_to_hyperplane(image, slope, value, norm=norm, bounds=bounds)

  def towards(images: Array, x: Array, slope: Array, value: Array) -> Array:
    """One step of one example: from where it is, and from x."""
    towards_x = jnp.vdot(slope, x - images, preferred_element_type=wide_dtype(x))
    value_at_x = value + towards_x.astype(value.dtype)
    moves = jax.vmap(shortest_step, in_axes=(0, None, 0))(
      jnp.stack([images, x]), slope, jnp.stack([value, value_at_x])
    )
    here, from_x = jax.vmap(norm.length)(moves)
    total = here + from_x
    alpha = jnp.minimum(here / jnp.where(total > 0, total, 1.0), alpha_max)
    step_here, step_from_x = eta * moves
    mixed = (1 - alpha) * (images + step_here) + alpha * (x + step_from_x)
    return jnp.clip(mixed, low, high).astype(x.dtype)

  def on_chunk(keys: Array, x: Array, y: Array) -> Array:
    model = detached(logits_fn, x)
    logits = model(x)
    others = likeliest_others(logits, y, considered)
    farthest = norm.length(jnp.full(x.shape[1:], high - low, x.dtype))
    limit = farthest if epsilon is None else jnp.minimum(farthest, epsilon)

    def start(run: Array | int, nearest: Nearest) -> Array:
      if restarts == 1:
        return x
      reach = jnp.minimum(nearest.distance, limit) / 2

      def near(key: Array, image: Array, reach: Array) -> Array:
        drawn = norm.random(jax.random.fold_in(key, run), image.shape, reach)
        return jnp.clip(image + drawn.astype(image.dtype), low, high).astype(image.dtype)

      return jnp.where(run % restarts == 0, x, jax.vmap(near)(keys, x, reach))

    def run_once(run: Array | int, nearest: Nearest) -> Nearest:
      aims = others[:, run // restarts][:, None] if aims_in_turn else others

      def step(_: Array | int, state: tuple[Array, Nearest]) -> tuple[Array, Nearest]:
        reached, nearest = state
        value, slope = nearest_boundary(
          norm, model, reached.astype(x.dtype), y, aims, targeted=targeted, unroll=unroll is True
        )
        reached = jax.vmap(towards)(reached, widened(x), slope, value)
        images = reached.astype(x.dtype)
        fooled = fools(model(images), y, targeted)
        nearest = nearer(norm, x, images, fooled, nearest)
        backwards = (x + beta * (reached - x)).astype(reached.dtype)
        return jnp.where(per_example(fooled, x), backwards, reached), nearest

      # In half precision, steps that are shorter than its rounding still have to add up.
      state = (widened(start(run, nearest)), nearest)
      return repeat(step, state, times=steps, unroll=unroll)[1]

    nearest = repeat(
      run_once,
      nothing_found(x, logits, y, targeted),
      times=restarts * (in_turn if aims_in_turn else 1),
      unroll=unroll is True,
      holds_loops=True,
    )
    return result(search_segment(model, nearest, x, y, norm, targeted), x, epsilon)

  keys = example_keys(key, x.shape[0])
  return map_batches(
    on_chunk, keys, jax.lax.stop_gradient(x), y, chunk_size=chunk_size, holds_loops=True
  )


def search_segment(
  logits_fn: LogitsFn, nearest: Nearest, x: Array, y: Array, norm: Norm, targeted: bool
) -> Nearest:
  """Moves each adversarial image towards x as far as a few evaluations of the model can tell.

  Each one is made where the margin, were it linear on what is left of the segment, would be 0, and
  a quarter of the way further, so that rounding at the boundary itself does not decide.
  """
  away = nearest.x - x

  def margin_at(fraction: Array) -> tuple[Array, Array, Array]:
    images = (x + per_example(fraction, x) * away).astype(x.dtype)
    logits = logits_fn(images)
    leads = margin(logits, y, targeted).astype(wide_dtype(x))
    return images, leads, fools(logits, y, targeted)

  def search(_: Array | int, state: tuple) -> tuple:
    near, far, near_margin, far_margin, nearest = state
    rise = far_margin - near_margin
    crossing = jnp.clip(-near_margin / jnp.where(rise > 0, rise, 1.0), 0.0, 1.0)
    fraction = near + (crossing + (1 - crossing) / 4) * (far - near)
    images, leads, fooled = margin_at(fraction)
    return (
      jnp.where(fooled, near, fraction),
      jnp.where(fooled, fraction, far),
      jnp.where(fooled, near_margin, leads),
      jnp.where(fooled, leads, far_margin),
      nearer(norm, x, images, fooled, nearest),
    )

  near, far = jnp.zeros_like(nearest.distance), jnp.ones_like(nearest.distance)
  state = near, far, margin_at(near)[1], margin_at(far)[1], nearest
  return repeat(search, state, times=FINAL_SEARCH, unroll=False)[-1]
