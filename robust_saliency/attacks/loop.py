"""The one loop of every gradient attack: loss + optimiser + initialisation + projection."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from robust_saliency.core import Key, LogitsFn, checks, detached, example_keys, repeat
from robust_saliency.core.losses import Loss, get_loss
from robust_saliency.core.per_example import select
from robust_saliency.core.predictions import is_correct
from robust_saliency.core.tracing import others_promotions, wide_dtype, widened

KEEP = ("best", "last")


class Candidate(NamedTuple):
  """The image that an attack would return now, and how good it is, per example.

  The loss is in float32 at least, whatever dtype images and logits have.
  """

  x: Array
  fools: Array
  loss: Array


def ascend(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  loss: str | Loss = "cross_entropy",
  optimizer: optax.GradientTransformation,
  initialize: Callable[[Key, Array], Array] | None = None,
  project: Callable[[Array, Array], Array],
  steps: int,
  restarts: int = 1,
  keep: str = "best",
  targeted: bool = False,
  unroll: bool | int | None = None,
) -> Array:
  """Increases a loss of the logits by gradient steps within a set around each image.

      x_0 = project(initialize(x));  x_{t+1} = project(x_t + optimizer(dL/dx_t))

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: int [B], the true classes, or with `targeted` the classes to reach.
    loss: a name of `LOSSES` or any `(logits, y) -> [B]`; see `get_loss` for `targeted`.
    optimizer: an optax transformation of one image's gradient (see `steps.py`).
    initialize: (key, image) -> where one image starts; None starts at the image itself.
    project: (candidate image, image) -> the nearest image allowed, for one image.
    steps: number of gradient steps (static).
    restarts: number of runs, each from a new start (static); the best result of each example is
      kept.
    keep: "best" returns, per example, the iterate with the highest loss among those that fool
      the model (among all, where none does); "last" returns the last iterate, as most papers do.
    targeted: whether y are targets.
    unroll: see `core.repeat`; True is right for stock convolutions on CPU.

  Returns:
    Images [B, H, W, C] of x's dtype, constants for differentiation.

  Raises:
    ValueError: for an unknown loss or `keep`, or numbers out of range.

  Source: the decomposition is that of Uesato et al. 2018, "Adversarial risk and the dangers of
  evaluating against weak attacks", and of DeepMind's attacks that followed it.

  >>> steps = optax.stateless(lambda g, x: 0.1 * jnp.sign(g))
  >>> x_adv = ascend(
  ...   jax.random.key(0), lambda x: x.reshape(1, 2), jnp.full((1, 1, 1, 2), 0.5), jnp.array([0]),
  ...   optimizer=steps, project=lambda candidate, x: jnp.clip(candidate, 0, 1), steps=2)
  >>> x_adv.tolist()
  [[[[0.3, 0.7]]]]
  """
  checks.function(logits_fn=logits_fn, project=project)
  if initialize is not None:
    checks.function(initialize=initialize)
  checks.images(x)
  checks.labels(y, batch=x.shape[0])
  checks.count(steps=steps, restarts=restarts)
  if not isinstance(optimizer, optax.GradientTransformation):
    raise TypeError(f"optimizer must be an optax transformation, got {optimizer!r}")
  checks.one_of(keep, KEEP, argument="keep")
  checks.flag(targeted=targeted)
  checks.unrolled(unroll)
  loss_function = get_loss(loss, targeted=targeted)
  x, constant_logits_fn = jax.lax.stop_gradient(x), detached(logits_fn, x)
  keys = example_keys(key, x.shape[0])

  def judge(reached: Array) -> tuple[Array, Candidate]:
    images = reached.astype(x.dtype)
    logits = constant_logits_fn(images)
    values = loss_function(logits, y)
    fools = is_correct(logits, y) == targeted
    return jnp.sum(values), Candidate(images, fools, values.astype(wide_dtype(x)))

  # In half precision, steps that are shorter than its rounding still have to add up.
  origin = widened(x)

  def projected(candidates: Array) -> Array:
    return jax.vmap(project)(candidates, origin).astype(origin.dtype)

  def step(_: Array | int, state: tuple) -> tuple:
    reached, optimizer_state, best = state
    (_, candidate), gradient = jax.value_and_grad(judge, has_aux=True)(reached)
    # An image on which the model breaks stays where it is: no NaN gets into its pixels or momentum.
    gradient = jnp.nan_to_num(gradient)
    with others_promotions():
      moves, next_state = jax.vmap(optimizer.update)(gradient, optimizer_state, reached)
    # Numbers of another dtype (a float64 of NumPy, say) must not change that of what is carried.
    optimizer_state = jax.tree.map(
      lambda new, old: new.astype(old.dtype), next_state, optimizer_state
    )
    reached = projected(reached + moves.astype(reached.dtype))
    best = better(candidate, best) if keep == "best" else best
    return reached, optimizer_state, best

  def run(restart: Array | int, best: Candidate) -> Candidate:
    start = origin
    if initialize is not None:
      run_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, restart)
      start = projected(jax.vmap(initialize)(run_keys, origin).astype(origin.dtype))
    state = (start, jax.vmap(optimizer.init)(start), best)
    last, _, best = repeat(step, state, times=steps, unroll=unroll)
    if keep == "last" and restarts == 1:
      return best._replace(x=last.astype(x.dtype))
    return better(judge(last)[1], best)

  nothing_yet = no_candidate(x)
  best = repeat(run, nothing_yet, times=restarts, unroll=restarts == 1, holds_loops=True)
  return jax.lax.stop_gradient(best.x)


def no_candidate(x: Array) -> Candidate:
  """The images themselves, worse than anything that is tried."""
  batch = x.shape[0]
  return Candidate(x, jnp.zeros(batch, bool), jnp.full(batch, -jnp.inf, wide_dtype(x)))


def better(new: Candidate, old: Candidate) -> Candidate:
  """The better of two candidates per example: one that fools the model, then the higher loss."""
  # A loss of NaN compares false, so an image on which the model breaks is never kept.
  wins = jnp.where(new.fools == old.fools, new.loss > old.loss, new.fools & ~jnp.isnan(new.loss))
  return select(wins, new, old)
