"""What makes a robust accuracy look better than it is: one small test for each known way.

Each test gives a sentence that says what was seen and what to do, or None where all is well.

Sources: Carlini et al. 2019, "On evaluating adversarial robustness"; Athalye et al. 2018,
"Obfuscated gradients give a false sense of security"; Croce & Hein 2020, "Reliable evaluation of
adversarial robustness with an ensemble of diverse parameter-free attacks", and the checks in the
authors' code.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core import LogitsFn, checks
from robust_saliency.core.losses import Loss, cross_entropy, dlr
from robust_saliency.core.programs import RowPrograms

# Logits differ by less, relative to the largest, where only the order of a sum does.
ROUNDING = 1e-4
# Shares of examples that differ by less are a matter of luck.
SHARE = 0.01


def randomised_logits(logits_fn: LogitsFn, x: Array, *, passes: int = 5) -> str | None:
  """Whether passes over the same images give different logits.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    passes: how many; some trace the function anew, which finds random numbers of NumPy, too.
  """
  checks.count(2, passes=passes)
  traced = [_on_one_device(logits_fn) for _ in range(2)]
  logits = np.stack([traced[i % 2](x) for i in range(passes)])
  if not _differ(logits, logits[0]):
    return None
  return (
    f"logits are random: {passes} passes over the same images differ by up to "
    f"{np.nanmax(np.abs(logits - logits[0])):.2g}; attack the average over the randomness "
    '(autoattack with version="rand")'
  )


def logits_are_probabilities(logits: Array) -> str | None:
  """Whether the "logits" [B, K] look like the output of a softmax."""
  outputs = np.asarray(logits, np.float64)
  within = np.all((outputs >= 0) & (outputs <= 1))
  if not (within and np.all(np.abs(outputs.sum(axis=1) - 1) < ROUNDING)):
    return None
  return (
    "logits are probabilities: all lie in [0, 1] and each row sums to 1; a second softmax in the "
    "attack's loss flattens its gradients, so return what comes before the softmax"
  )


def no_gradient(logits_fn: LogitsFn, x: Array) -> str | None:
  """Whether the logits have no input gradient: those of a program outside of JAX, or whole numbers.

  Found by tracing.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K] of any numbers, or truth values.
    x: images [B, H, W, C].
  """
  try:
    jax.eval_shape(
      jax.grad(lambda x: jnp.sum(logits_fn(x))), jax.ShapeDtypeStruct(x.shape, x.dtype)
    )
  # Whichever JAX finds apt for a callback, a loop without an end, and whole numbers.
  except (ValueError, TypeError, NotImplementedError):
    return (
      "the logits have no gradient that JAX could take, as those of a program outside of it, or "
      "whole numbers: only attacks without gradients (square) say anything about this network"
    )
  return None


def zero_gradients(logits_fn: LogitsFn, x: Array, y: Array) -> str | None:
  """Whether the loss of some images has no gradient at all, as after defensive distillation.

  Only those that are classified correctly count: elsewhere the DLR loss may well be constant.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: the true classes, int [B].
  """
  losses: dict[str, Loss] = {"cross-entropy": cross_entropy}
  if checks.number_of_classes(logits_fn, x) > 2:
    losses["DLR"] = dlr

  def share_without(loss: Loss) -> float:
    def total(x: Array, y: Array) -> tuple[Array, Array]:
      logits = logits_fn(x)
      return jnp.sum(loss(logits, y)), jnp.argmax(logits, axis=-1) == y

    slopes, correct = _on_one_device(jax.grad(total, has_aux=True))(x, y)
    vanish = ~slopes.reshape(len(x), -1).any(axis=1)
    return float(np.sum(vanish & correct) / max(1, np.sum(correct)))

  shares = {name: share_without(loss) for name, loss in losses.items()}
  found = [f"{share:.1%} of the images under {name}" for name, share in shares.items() if share]
  if not found:
    return None
  return (
    f"input gradients are exactly zero for {' and '.join(found)}, so that gradient attacks do not "
    "move there; use losses that do not saturate and attacks without gradients (square)"
  )


def non_finite_logits(logits: Array) -> str | None:
  """Whether some logits [B, K] are NaN or infinite."""
  broken = ~np.isfinite(np.asarray(logits, np.float64)).all(axis=1)
  if not broken.any():
    return None
  return (
    f"logits are NaN or infinite for {broken.mean():.1%} of the images; attacks cannot follow such "
    "a loss, and NaN counts as a wrong answer"
  )


def too_few_classes(classes: int) -> str | None:
  """Whether the DLR loss (3 classes) or its targeted form (4 classes) does not exist."""
  if classes >= 4:
    return None
  without = "DLR loss, plain or targeted" if classes < 3 else "targeted DLR loss"
  return (
    f"with {classes} classes there is no {without}; AutoAttack takes the margin in its place, "
    "which a network's scale can blunt"
  )


def depends_on_companions(logits_fn: LogitsFn, x: Array) -> str | None:
  """Whether an image's logits depend on the other images of its batch.

  That is so with batch norm in training mode, whose statistics then change with every step of an
  attack.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C], of which the first half is classified twice.
  """
  half = (len(x) + 1) // 2
  first = jnp.asarray(x[:half])
  other = jnp.min(x) + jnp.max(x) - first
  classify = _on_one_device(logits_fn)
  alone, among = (classify(jnp.concatenate([first, rest]))[:half] for rest in (first, other))
  if not _differ(among, alone):
    return None
  return (
    "an image's logits depend on the other images in the batch: batch norm in training mode? Bind "
    "the running statistics, as at test time"
  )


def black_box_breaks_more(
  tried: np.ndarray, broken: np.ndarray, gradient_free: np.ndarray
) -> str | None:
  """Whether attacks without gradients break examples that those with gradients could not.

  Args:
    tried: which attack was run on which example, bool [A, N].
    broken: which attack broke which example, bool [A, N].
    gradient_free: which attacks made no backward pass, bool [A].
  """
  by_gradients = tried[~gradient_free].any(axis=0)
  escaped = by_gradients & ~broken[~gradient_free].any(axis=0)
  caught = escaped & broken[gradient_free].any(axis=0)
  share = caught.sum() / max(1, by_gradients.sum())
  if share <= SHARE / 2:
    return None
  return (
    f"attacks without gradients break a further {share:.1%} of the examples, which attacks with "
    "gradients had tried and could not: the gradients are masked, and the true accuracy is "
    "probably lower still"
  )


def stands_any_perturbation(accuracy: float) -> str | None:
  """Whether some examples stay correct under PGD when every image is allowed.

  Args:
    accuracy: under PGD in a ball that holds all images, of examples that are right without it.
  """
  if accuracy <= SHARE:
    return None
  return (
    f"{accuracy:.1%} of the examples stay correct under PGD without a bound on the perturbation, "
    "where an attack should reach 0 %: the attack is broken"
  )


def steps_lose_their_way(name: str, accuracy: float, one_step: float) -> str | None:
  """Whether an iterative attack does worse than a single step of FGSM in the same ball.

  Args:
    name: the attack's.
    accuracy: under the attack.
    one_step: under FGSM.
  """
  if accuracy <= one_step + SHARE:
    return None
  return (
    f"{name} leaves {accuracy:.1%} correct and a single step of FGSM only {one_step:.1%}: an "
    "iterative attack weaker than FGSM indicates masked gradients or a bad step size"
  )


def not_converged(name: str, steps: int, accuracy: float, more: float) -> str | None:
  """Whether an attack breaks more examples with 4 times the steps.

  Args:
    name: the attack's.
    steps: how many it takes.
    accuracy: under it.
    more: under it with 4 times the steps.
  """
  if more >= accuracy - SHARE:
    return None
  return (
    f"{name} has not converged: {accuracy:.1%} stay correct under its {steps} steps and "
    f"{more:.1%} under {4 * steps}; take more steps"
  )


def leaves_the_ball(name: str, outside: int, tried: int) -> str | None:
  """Whether an attack returned images outside the ball or the bounds.

  Args:
    name: the attack's.
    outside: how many of its images lie outside, or are NaN.
    tried: how many it was run on.
  """
  if not outside:
    return None
  return (
    f"{name} left the ball or the bounds with {outside} of {tried} images, which do not count as "
    "broken; check its epsilon, norm and bounds"
  )


def _on_one_device(function: Callable[..., Any]) -> Callable[..., Any]:
  programs = RowPrograms(lambda _, *arrays: function(*arrays), devices=1)
  return lambda *arrays: programs(None, *arrays, rows=len(arrays[0]))


def _differ(logits: np.ndarray, reference: np.ndarray) -> bool:
  finite = np.abs(reference[np.isfinite(reference)])
  tolerance = ROUNDING * np.max(finite, initial=0.0)
  return not np.allclose(logits, reference, rtol=0, atol=tolerance, equal_nan=True)
