"""Projected gradient descent on the negative loss, and its ancestor BIM."""

import optax
from jax import Array

from robust_saliency.attacks.loop import ascend
from robust_saliency.attacks.registry import attack
from robust_saliency.attacks.steps import steepest_steps
from robust_saliency.attacks.threat import (
  check_attack_arguments,
  check_numbers,
  check_per_channel,
  radius_per_channel,
  start_in_ball,
  start_near,
  within_ball,
)
from robust_saliency.core import Key, LogitsFn, Norm, PixelBounds, checks, full_precision, get_norm
from robust_saliency.core.losses import Loss


@attack
@full_precision
@radius_per_channel
def pgd(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  epsilon: Array | float,
  norm: str | Norm = "linf",
  step_size: Array | float | None = None,
  steps: int = 40,
  restarts: int = 1,
  random_start: bool = True,
  start_deviation: float | None = None,
  loss: str | Loss = "cross_entropy",
  optimizer: optax.GradientTransformation | None = None,
  keep: str = "best",
  targeted: bool = False,
  bounds: PixelBounds = (0.0, 1.0),
  unroll: bool | int | None = None,
) -> Array:
  """Finds, within the ball around each image, the image with the highest loss it can.

      x_{t+1} = P(x_t + step_size * steepest(dL/dx_t)),  P = ball of `norm`, then `bounds`

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within `bounds`.
    y: int [B], the true classes, or with `targeted` the classes to reach.
    epsilon: radius of the ball, in pixel units, one or one per channel [C] (traced).
    norm: "linf", "l2", "l1" or a `Norm`.
    step_size: length of a step in the same norm, one or one per channel [C] (traced); None for
      2.5 epsilon / steps, as in the source.
    steps: number of gradient steps (static).
    restarts: number of runs; the best result of each example is kept (static).
    random_start: whether each run starts at a random point of the ball.
    start_deviation: None for a uniform random point; else the start is the image plus normal noise
      of this standard deviation > 0, brought back into the ball, as in TRADES (0.001 there). In
      pixel units, or with an epsilon per channel in units of epsilon / max(epsilon).
    loss: "cross_entropy", "cw_margin", "dlr" or any `(logits, y) -> [B]`.
    optimizer: what turns one image's gradient into its step (`ascending(optax.adam(0.01))`, for
      example); None for steepest steps of `step_size`. With an epsilon per channel it works on
      pixels in units of epsilon / max(epsilon).
    keep: "best" iterate of each example, or "last".
    targeted: whether y are targets.
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    unroll: how many steps share one pass of the compiled loop; None chooses by platform.

  Returns:
    Images [B, H, W, C] within epsilon of x (up to float rounding) and within `bounds`.

  Source: Madry et al. 2018, "Towards deep learning models resistant to adversarial attacks".

  >>> import jax, jax.numpy as jnp
  >>> weights = jnp.array([[1.0, -1.0], [0.0, 0.0]]).T
  >>> x_adv = pgd(jax.random.key(0), lambda x: x.reshape(1, 2) @ weights,
  ...             jnp.full((1, 1, 1, 2), 0.5), jnp.array([0]), epsilon=0.1, steps=5)
  >>> x_adv.tolist()
  [[[[0.4, 0.6]]]]
  """
  check_attack_arguments(logits_fn, x, y, epsilon=epsilon, bounds=bounds)
  norm = get_norm(norm)
  checks.count(steps=steps)
  checks.flag(random_start=random_start)
  if start_deviation is not None:
    checks.scalar(start_deviation=start_deviation)
    checks.positive(start_deviation=start_deviation)
  start = start_in_ball(norm, epsilon) if start_deviation is None else start_near(start_deviation)
  if step_size is None:
    step_size = 2.5 * epsilon / steps
  check_per_channel(x, step_size=step_size)
  return ascend(
    key,
    logits_fn,
    x,
    y,
    loss=loss,
    optimizer=steepest_steps(norm, step_size, bounds) if optimizer is None else optimizer,
    initialize=start if random_start else None,
    project=within_ball(norm, epsilon, bounds),
    steps=steps,
    restarts=restarts,
    keep=keep,
    targeted=targeted,
    unroll=unroll,
  )


@attack
@full_precision
@radius_per_channel
def bim(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  epsilon: Array | float,
  norm: str | Norm = "linf",
  step_size: Array | float | None = None,
  steps: int = 10,
  loss: str | Loss = "cross_entropy",
  keep: str = "best",
  targeted: bool = False,
  bounds: PixelBounds = (0.0, 1.0),
  unroll: bool | int | None = None,
) -> Array:
  """The basic iterative method: PGD from the image itself, with steps of epsilon / steps.

  Arguments, result and errors are those of `pgd`, without restarts, since nothing is random; the
  key is not used.

  Source: Kurakin et al. 2017, "Adversarial machine learning at scale", section 2.

  >>> import jax, jax.numpy as jnp
  >>> x_adv = bim(jax.random.key(0), lambda x: x.reshape(1, 2), jnp.full((1, 1, 1, 2), 0.5),
  ...             jnp.array([0]), epsilon=0.1)
  >>> x_adv.tolist()
  [[[[0.4, 0.6]]]]
  """
  checks.count(steps=steps)
  check_numbers(epsilon=epsilon)
  return pgd(
    key,
    logits_fn,
    x,
    y,
    epsilon=epsilon,
    norm=norm,
    step_size=epsilon / steps if step_size is None else step_size,
    steps=steps,
    random_start=False,
    loss=loss,
    keep=keep,
    targeted=targeted,
    bounds=bounds,
    unroll=unroll,
  )
