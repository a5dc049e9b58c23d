"""Auto-PGD: projected gradient ascent that chooses its own step sizes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.apgd_steps import StepRule, halving_steps
from robust_saliency.attacks.l1_apgd import sparse_steps
from robust_saliency.attacks.loop import Candidate, better, no_candidate
from robust_saliency.attacks.registry import attack
from robust_saliency.attacks.threat import (
  check_attack_arguments,
  check_numbers,
  radius_per_channel,
)
from robust_saliency.core import (
  L1,
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
from robust_saliency.core.losses import Loss, get_loss, other_logits, targeted_dlr
from robust_saliency.core.per_example import select
from robust_saliency.core.predictions import is_correct
from robust_saliency.core.tracing import wide_dtype, widened

KEEP = ("best", "first")


@attack
@full_precision
@radius_per_channel
def apgd(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  epsilon: Array | float,
  norm: str | Norm = "linf",
  steps: int = 100,
  restarts: int = 1,
  random_start: bool = True,
  loss: str | Loss = "cross_entropy",
  rho: Array | float = 0.75,
  keep: str = "best",
  targeted: bool = False,
  bounds: PixelBounds = (0.0, 1.0),
  unroll: bool | int | None = None,
  chunk_size: int | None = None,
) -> Array:
  """Finds the image with the highest loss within the ball, with no step size to choose.

  Steps start at 2 epsilon, with momentum, and are halved where progress stops (`apgd_steps.py`).
  In l1 they are sparse and begin in larger balls (`l1_apgd.py`). A step takes one forward and one
  backward pass.

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within `bounds`.
    y: int [B], the true classes, or with `targeted` the classes to reach.
    epsilon: radius of the ball, in pixel units, one or one per channel [C] (traced).
    norm: "linf", "l2", "l1" or a `Norm`.
    steps: number of gradient steps of each run (static).
    restarts: number of runs one after the other (static).
    random_start: whether each run starts at a random point of the ball.
    loss: "cross_entropy", "cw_margin", "dlr" or any `(logits, y) -> [B]`.
    rho: at which fraction of increasing steps, 0 to 1, the step is halved (traced; not used in
      l1).
    keep: "best" returns, per example, the iterate with the highest loss among those of all runs
      that fool the model (among all, where none does); "first" the first that fools it, and stops
      when every example of the chunk has one: right for robust accuracy, and much faster where
      the model is weak.
    targeted: whether y are targets; see `get_loss` for what is increased then.
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    unroll: how many steps share one pass of the compiled loop; None chooses by platform.
    chunk_size: images per call of `logits_fn` (static); None for all of them.

  Returns:
    Images [B, H, W, C] within epsilon of x (up to float rounding) and within `bounds`, constants
    for differentiation.

  Source: Croce & Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
  diverse parameter-free attacks", section 4 and algorithm 1; for l1 Croce & Hein 2021, "Mind the
  box: l1-APGD for sparse adversarial attacks on image classifiers".

  >>> weights = jnp.array([[1.0, -1.0], [0.0, 0.0]]).T
  >>> x_adv = apgd(jax.random.key(0), lambda x: x.reshape(1, 2) @ weights,
  ...              jnp.full((1, 1, 1, 2), 0.5), jnp.array([0]), epsilon=0.1)
  >>> x_adv.tolist()
  [[[[0.4, 0.6]]]]
  """
  check_attack_arguments(logits_fn, x, y, epsilon=epsilon, bounds=bounds)
  checks.count(restarts=restarts)
  checks.flag(random_start=random_start, targeted=targeted)
  checks.unrolled(unroll)
  loss_function = get_loss(loss, targeted=targeted)
  rule = _step_rule(norm, epsilon, bounds, steps=steps, rho=rho)
  checks.one_of(keep, KEEP, argument="keep")

  def on_chunk(keys: Array, x: Array, y: Array) -> Array:
    return _best_of_runs(
      keys,
      detached(logits_fn, x),
      x,
      y,
      rule,
      loss=lambda logits, _: loss_function(logits, y),
      runs=restarts,
      initial=no_candidate(x),
      random_start=random_start,
      keep=keep,
      targeted=targeted,
      unroll=unroll,
    )

  return _in_chunks(on_chunk, key, x, y, chunk_size=chunk_size)


@attack
@full_precision
@radius_per_channel
def apgd_targeted(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  epsilon: Array | float,
  norm: str | Norm = "linf",
  steps: int = 100,
  targets: int = 9,
  random_start: bool = True,
  rho: Array | float = 0.75,
  keep: str = "best",
  bounds: PixelBounds = (0.0, 1.0),
  unroll: bool | int | None = None,
  chunk_size: int | None = None,
) -> Array:
  """Auto-PGD on the targeted DLR loss, once towards each of the most likely other classes.

  Arguments, result and errors are those of `apgd`, except:

  Args:
    key: as in `apgd`.
    logits_fn: as in `apgd`, with at least four classes.
    x: as in `apgd`.
    y: as in `apgd`.
    epsilon: as in `apgd`.
    norm: as in `apgd`.
    steps: number of gradient steps towards each target (static).
    targets: how many classes, in the order of their logits for the image itself (static); all
      others where there are fewer.
    random_start: whether each run starts at a random point of the ball, or at the image.
    rho: as in `apgd`.
    keep: as in `apgd`; "best" compares the losses of all targets. An image that the model gets
      wrong itself counts as fooling it.
    bounds: as in `apgd`.
    unroll: as in `apgd`.
    chunk_size: as in `apgd`.

  Source: Croce & Hein 2020, section 4.2 and equation 7.

  >>> x_adv = apgd_targeted(jax.random.key(0), lambda x: x.reshape(1, 4),
  ...                       jnp.array([0.6, 0.5, 0.2, 0.0]).reshape(1, 1, 1, 4), jnp.array([0]),
  ...                       epsilon=0.1)
  >>> x_adv.tolist()
  [[[[0.5, 0.6, 0.3, 0.1]]]]
  """
  classes = check_attack_arguments(logits_fn, x, y, epsilon=epsilon, bounds=bounds)
  checks.count(targets=targets)
  checks.flag(random_start=random_start)
  checks.unrolled(unroll)
  rule = _step_rule(norm, epsilon, bounds, steps=steps, rho=rho)
  checks.one_of(keep, KEEP, argument="keep")
  targets = min(targets, classes - 1)

  def on_chunk(keys: Array, x: Array, y: Array) -> Array:
    constant_logits_fn = detached(logits_fn, x)
    logits = constant_logits_fn(x)
    others = other_logits(logits, y)
    likely = jnp.argsort(-others, axis=-1)
    return _best_of_runs(
      keys,
      constant_logits_fn,
      x,
      y,
      rule,
      loss=lambda logits, run: targeted_dlr(logits, y, jnp.take(likely, run, axis=1)),
      runs=targets,
      initial=no_candidate(x)._replace(fools=~is_correct(logits, y)),
      random_start=random_start,
      keep=keep,
      unroll=unroll,
    )

  return _in_chunks(on_chunk, key, x, y, chunk_size=chunk_size)


def _step_rule(
  norm: str | Norm,
  epsilon: Array | float,
  bounds: PixelBounds,
  *,
  steps: int,
  rho: Array | float,
) -> StepRule:
  checks.count(steps=steps)
  check_numbers(rho=rho)
  checks.fraction(rho=rho)
  norm = get_norm(norm)
  if norm is L1:
    return sparse_steps(epsilon, bounds, steps=steps)
  return halving_steps(norm, epsilon, bounds, steps=steps, rho=rho)


def _in_chunks(
  on_chunk: Callable[[Array, Array, Array], Array],
  key: Key,
  x: Array,
  y: Array,
  *,
  chunk_size: int | None,
) -> Array:
  keys = example_keys(key, x.shape[0])
  x = jax.lax.stop_gradient(x)
  return jax.lax.stop_gradient(
    map_batches(on_chunk, keys, x, y, chunk_size=chunk_size, holds_loops=True)
  )


def _best_of_runs(
  keys: Array,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  rule: StepRule,
  *,
  loss: Callable[[Array, Array | int], Array],
  runs: int,
  initial: Candidate,
  random_start: bool,
  keep: str,
  targeted: bool = False,
  unroll: bool | int | None,
) -> Array:
  """Runs after one another, `loss(logits, run)` being what run number `run` increases."""
  stop_at_first = keep == "first"
  # In half precision, steps that are shorter than its rounding still have to add up.
  origin = widened(x)

  def consider(new: Candidate, old: Candidate) -> Candidate:
    kept = better(new, old)
    return select(old.fools, old, kept) if stop_at_first else kept

  def run(number: Array | int, best: Candidate) -> Candidate:
    def judge(reached: Array) -> tuple[Array, Candidate]:
      images = reached.astype(x.dtype)
      logits = logits_fn(images)
      values = loss(logits, number)
      fools = is_correct(logits, y) == targeted
      return jnp.sum(values), Candidate(images, fools, values.astype(wide_dtype(x)))

    def step(i: Array | int, state: tuple) -> tuple:
      reached, memory, best = state
      (_, candidate), gradient = jax.value_and_grad(judge, has_aux=True)(reached)
      # As in `ascend`: where the model breaks, no NaN gets into the pixels.
      gradient = jnp.nan_to_num(gradient)
      following, memory = jax.vmap(rule.update, in_axes=(None, 0, 0, 0, 0, 0))(
        i, memory, origin, reached, gradient, candidate.loss
      )
      considered = consider(candidate, best)
      if rule.allowed_from:
        considered = select(jnp.broadcast_to(i >= rule.allowed_from, y.shape), considered, best)
      return following, memory, considered

    start = origin
    if random_start:
      run_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)
      start = jax.vmap(rule.start)(run_keys, origin)
    state = (start, jax.vmap(rule.initialize)(start, origin), best)
    last, _, best = repeat(
      step,
      state,
      times=rule.passes,
      unroll=unroll,
      until=(lambda state: jnp.all(state[2].fools)) if stop_at_first else None,
    )
    return consider(judge(last)[1], best)

  return repeat(run, initial, times=runs, unroll=runs == 1, holds_loops=True).x
