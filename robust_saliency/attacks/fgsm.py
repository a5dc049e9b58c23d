"""Single-step attacks: the fast gradient sign method and its targeted form."""

import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.loop import ascend
from robust_saliency.attacks.registry import attack
from robust_saliency.attacks.steps import steepest_steps
from robust_saliency.attacks.threat import (
  check_attack_arguments,
  radius_per_channel,
  within_ball,
)
from robust_saliency.core import Key, LogitsFn, Norm, PixelBounds, checks, full_precision, get_norm
from robust_saliency.core.losses import Loss


@attack(one_step=True)
@full_precision
@radius_per_channel
def fgsm(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  epsilon: Array | float,
  norm: str | Norm = "linf",
  loss: str | Loss = "cross_entropy",
  targeted: bool = False,
  bounds: PixelBounds = (0.0, 1.0),
) -> Array:
  """One step of norm epsilon along the gradient: clip(x + epsilon sign(dL/dx)).

  Where the gradient is exactly 0 the pixel stays as it is. Under `vmap` over epsilons the
  gradient is taken once.

  Args:
    key: not used; there so that FGSM is an attack like any other.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within `bounds`.
    y: int [B], the true classes, or with `targeted` the classes to reach.
    epsilon: norm of the step, in pixel units, one or one per channel [C] (traced).
    norm: "linf" for the sign, "l2" or "l1" for the fast gradient method in those norms.
    loss: "cross_entropy", "cw_margin", "dlr" or any `(logits, y) -> [B]`.
    targeted: whether y are targets.
    bounds: (low, high) of the pixels, each one number or one per channel [C].

  Returns:
    Images [B, H, W, C] within `bounds`.

  Source: Goodfellow et al. 2015, "Explaining and harnessing adversarial examples"; Ross &
  Doshi-Velez 2018, equation 2.

  >>> import jax, jax.numpy as jnp
  >>> x_adv = fgsm(jax.random.key(0), lambda x: x.reshape(1, 2), jnp.full((1, 1, 1, 2), 0.5),
  ...              jnp.array([0]), epsilon=0.1)
  >>> x_adv.tolist()
  [[[[0.4, 0.6]]]]
  """
  check_attack_arguments(logits_fn, x, y, epsilon=epsilon, bounds=bounds)
  norm = get_norm(norm)
  return ascend(
    key,
    logits_fn,
    x,
    y,
    loss=loss,
    optimizer=steepest_steps(norm, epsilon, bounds),
    project=within_ball(norm, epsilon, bounds),
    steps=1,
    keep="last",
    targeted=targeted,
  )


@attack(norm="linf", one_step=lambda *, steps=1, **_: steps == 1)
@full_precision
@radius_per_channel
def tgsm(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  epsilon: Array | float,
  steps: int = 1,
  target_offset: int = 1,
  targeted: bool = False,
  bounds: PixelBounds = (0.0, 1.0),
  unroll: bool | int | None = None,
) -> Array:
  """Targeted gradient sign steps towards class (y + target_offset) mod K.

      x_{t+1} = clip(x_t - epsilon sign(dH(target, f(x_t))/dx))

  With several steps nothing but the bounds holds the image near its start, as in the paper's
  iterated TGSM (15 steps of 0.1). To stay within a ball use `pgd(..., targeted=True)`.

  Args:
    key: not used.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within `bounds`.
    y: int [B], the true classes, or with `targeted` the classes to reach.
    epsilon: linf norm of each step, in pixel units, one or one per channel [C] (traced).
    steps: number of steps (static).
    target_offset: how far the target class lies behind the true one; not used with `targeted`.
    targeted: whether y are targets.
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    unroll: see `pgd`.

  Returns:
    Images [B, H, W, C] within `bounds`.

  Source: Ross & Doshi-Velez 2018, equation 3; Kurakin et al. 2017.

  >>> import jax, jax.numpy as jnp
  >>> x_adv = tgsm(jax.random.key(0), lambda x: x.reshape(1, 2), jnp.full((1, 1, 1, 2), 0.5),
  ...              jnp.array([1]), epsilon=0.1)
  >>> x_adv.tolist()
  [[[[0.6, 0.4]]]]
  """
  classes = check_attack_arguments(logits_fn, x, y, epsilon=epsilon, bounds=bounds)
  checks.count(steps=steps)
  checks.count(-checks.LARGEST_COUNT, target_offset=target_offset)
  checks.flag(targeted=targeted)
  norm = get_norm("linf")
  return ascend(
    key,
    logits_fn,
    x,
    # Labels in bytes have no class below 0.
    y if targeted else (jnp.asarray(y, int) + target_offset) % classes,
    optimizer=steepest_steps(norm, epsilon, bounds),
    project=lambda candidate, image: jnp.clip(candidate, *bounds),
    steps=steps,
    keep="last",
    targeted=True,
    unroll=unroll,
  )
