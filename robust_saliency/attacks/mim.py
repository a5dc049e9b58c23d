"""The momentum iterative method."""

from jax import Array

from robust_saliency.attacks.pgd import pgd
from robust_saliency.attacks.registry import attack
from robust_saliency.attacks.steps import momentum_steps
from robust_saliency.attacks.threat import check_numbers, radius_per_channel
from robust_saliency.core import Key, LogitsFn, Norm, PixelBounds, checks, full_precision, get_norm
from robust_saliency.core.losses import Loss


@attack
@full_precision
@radius_per_channel
def mim(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  epsilon: Array | float,
  norm: str | Norm = "linf",
  step_size: Array | float | None = None,
  steps: int = 10,
  decay: Array | float = 1.0,
  loss: str | Loss = "cross_entropy",
  keep: str = "best",
  targeted: bool = False,
  bounds: PixelBounds = (0.0, 1.0),
  unroll: bool | int | None = None,
) -> Array:
  """BIM along an accumulated gradient, which transfers better to other models.

  Args:
    key: not used.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within `bounds`.
    y: int [B], the true classes, or with `targeted` the classes to reach.
    epsilon: radius of the ball, one or one per channel [C] (traced).
    norm: "linf", "l2" or "l1".
    step_size: length of a step, one or one per channel [C] (traced); None for epsilon / steps, as
      in the source.
    steps: number of gradient steps (static).
    decay: how much of the accumulated gradient is kept at each step (traced).
    loss: as in `pgd`.
    keep: "best" or "last" iterate.
    targeted: whether y are targets.
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    unroll: see `pgd`.

  Returns:
    Images [B, H, W, C] within epsilon of x and within `bounds`.

  Source: Dong et al. 2018, "Boosting adversarial attacks with momentum", algorithm 1.

  >>> import jax, jax.numpy as jnp
  >>> x_adv = mim(jax.random.key(0), lambda x: x.reshape(1, 2), jnp.full((1, 1, 1, 2), 0.5),
  ...             jnp.array([0]), epsilon=0.1)
  >>> x_adv.tolist()
  [[[[0.4, 0.6]]]]
  """
  checks.count(steps=steps)
  check_numbers(epsilon=epsilon, decay=decay)
  norm = get_norm(norm)
  step_size = epsilon / steps if step_size is None else step_size
  return pgd(
    key,
    logits_fn,
    x,
    y,
    epsilon=epsilon,
    norm=norm,
    step_size=step_size,
    steps=steps,
    random_start=False,
    loss=loss,
    optimizer=momentum_steps(norm, step_size, decay, bounds),
    keep=keep,
    targeted=targeted,
    bounds=bounds,
    unroll=unroll,
  )
