"""Square Attack: a random search that asks the model for its logits and never for a gradient."""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.loop import Candidate
from robust_saliency.attacks.registry import attack
from robust_saliency.attacks.square_updates import share_of_pixels, updates_of
from robust_saliency.attacks.threat import check_attack_arguments, radius_per_channel
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
from robust_saliency.core.losses import Loss, get_loss
from robust_saliency.core.per_example import select
from robust_saliency.core.predictions import is_correct
from robust_saliency.core.tracing import floating, wide_dtype


@attack
@full_precision
@radius_per_channel
def square(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  epsilon: Array | float,
  norm: str | Norm = "linf",
  queries: int = 5000,
  restarts: int = 1,
  p_init: Array | float = 0.8,
  loss: str | Loss = "cw_margin",
  targeted: bool = False,
  bounds: PixelBounds = (0.0, 1.0),
  chunk_size: int | None = None,
) -> Array:
  """Changes random squares of the image, and keeps a change where it increases the loss.

  It needs no gradient, so that neither a vanishing nor a misleading one protects a model from it.
  The search of an image ends when the model is fooled, the whole call when it is on every image
  (of a chunk); an image that fools the model already is given back.

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K]; need not be differentiable.
    x: images [B, H, W, C] within `bounds`.
    y: int [B], the true classes, or with `targeted` the classes to reach.
    epsilon: radius of the ball, in pixel units, one or one per channel [C] (traced).
    norm: "linf", "l2" or "l1".
    queries: model calls per image and run (static), its starting point included; one more looks
      at the image itself.
    restarts: number of runs; the best result of each example is kept (static).
    p_init: share of the pixels in the first squares, 0 to 1 (traced); it shrinks on the paper's
      schedule, stretched to `queries`.
    loss: "cw_margin", "cross_entropy", "dlr" or any `(logits, y) -> [B]`.
    targeted: whether y are targets.
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    chunk_size: images per model call (static); None for all of them.

  Returns:
    Images [B, H, W, C] within epsilon of x (up to float rounding) and within `bounds`.

  Source: Andriushchenko et al. 2020, "Square Attack: a query-efficient black-box adversarial
  attack via random search", algorithms 1 to 3; for l1 algorithm 3 with lengths in l1, as in Croce
  & Hein 2021, "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers".

  >>> x_adv = square(jax.random.key(0), lambda x: x.reshape(1, 2), jnp.full((1, 1, 1, 2), 0.5),
  ...                jnp.array([0]), epsilon=0.1, queries=20)
  >>> x_adv.tolist()
  [[[[0.4, 0.6]]]]
  """
  logits_fn = floating(logits_fn)
  check_attack_arguments(logits_fn, x, y, epsilon=epsilon, bounds=bounds)
  if x.ndim != 4:
    raise ValueError(f"x must have shape [batch, height, width, channels], got {x.shape}")
  checks.count(queries=queries, restarts=restarts)
  checks.scalar(p_init=p_init)
  checks.fraction(p_init=p_init)
  checks.flag(targeted=targeted)
  loss_function = get_loss(loss, targeted=targeted)
  # Loops whose number of steps is not known have no gradient, and none is wanted.
  x, epsilon, p_init = jax.lax.stop_gradient((x, epsilon, p_init))
  moves = updates_of(get_norm(norm), epsilon, bounds)

  def search(keys: Array, x: Array, y: Array) -> Array:
    constant_logits_fn = detached(logits_fn, x)

    def judge(images: Array) -> Candidate:
      logits = constant_logits_fn(images)
      values = loss_function(logits, y)
      breaks = jnp.isnan(values)
      fools = (is_correct(logits, y) == targeted) & ~breaks
      values = jnp.where(breaks, -jnp.inf, values).astype(wide_dtype(x))
      return Candidate(images, fools, values)

    def run(restart: Array | int, best: Candidate) -> Candidate:
      def goes_on(state: tuple[Array, Candidate]) -> Array:
        query, current = state
        return (query < queries) & ~jnp.all(current.fools)

      def propose(key: Array, image: Array, current: Array, query: Array, side: Array) -> Array:
        numbers = jax.random.uniform(key, (moves.count(image.shape),))
        return jax.lax.cond(
          query == 0,
          lambda: moves.start(numbers, image).astype(image.dtype),
          lambda: moves.update(numbers, image, current, side).astype(image.dtype),
        )

      def ask(state: tuple[Array, Candidate]) -> tuple[Array, Candidate]:
        query, current = state
        side = moves.side(share_of_pixels(query - 1, queries, p_init), x.shape[1:3])
        query_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(
          keys, restart * queries + query
        )
        candidates = jax.vmap(propose, in_axes=(0, 0, 0, None, None))(
          query_keys, x, current.x, query, side
        )
        return query + 1, _better(judge(candidates), current)

      # Any start is better than none.
      nothing_yet = best._replace(loss=jnp.full_like(best.loss, -jnp.inf))
      _, current = jax.lax.while_loop(goes_on, ask, (jnp.asarray(0), nothing_yet))
      return _better(current, best)

    # Restarts share one program, since a loop over them costs nothing.
    return repeat(run, judge(x), times=restarts, unroll=restarts == 1).x

  keys = example_keys(key, x.shape[0])
  return jax.lax.stop_gradient(map_batches(search, keys, x, y, chunk_size=chunk_size))


def _better(new: Candidate, old: Candidate) -> Candidate:
  """Per example the new candidate where it fools the model first, or has the higher loss."""
  wins = ~old.fools & (new.fools | (new.loss > old.loss))
  return select(wins, new, old)
