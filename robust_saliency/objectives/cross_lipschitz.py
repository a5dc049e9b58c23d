"""Cross-Lipschitz regularisation: how fast the differences between a network's outputs change."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core import LogitsFn
from robust_saliency.objectives.output_gradients import output_gradients
from robust_saliency.objectives.passes import ForwardPass, TrainingPasses, forward_pass
from robust_saliency.objectives.safe_norms import squared_lengths
from robust_saliency.objectives.terms import term


def cross_lipschitz_penalty(
  logits_fn: LogitsFn, x: Array, y: Array, *, output: str = "logits"
) -> Array:
  """1/K^2 sum_lm ||d(o_l - o_m)/dx_n||^2, per example.

  Only the differences between outputs decide the class, so that what all have in common is free,
  which Jacobian regularisation penalises, too. The sum over pairs is 2K times that over the K - 1
  orthonormal directions of R^K that are orthogonal to (1, ..., 1): K - 1 backward passes.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K], in the mode that is trained.
    x: images [B, H, W, C].
    y: classes, int [B]; they play no part.
    output: o, "logits", "probabilities" or "log_probabilities".

  Returns:
    Penalties [B]; their mean times lambda goes into the loss. 0 for a single class.

  Raises:
    ValueError, TypeError: for an unknown output, images, classes or logits of other shapes or
      dtypes, or classes that there are not.

  Source: Hein & Andriushchenko 2017, "Formal guarantees on the robustness of a classifier against
  adversarial manipulation", section 4: Omega(f) is the mean of it over the examples.

  >>> x, y = jnp.zeros((1, 1, 1, 2)), jnp.array([0])
  >>> cross_lipschitz_penalty(lambda x: 3 * x[:, 0, 0], x, y).tolist()
  [9.0]
  """
  return _penalty(forward_pass(logits_fn, x, y), output=output)


def differences(classes: int) -> np.ndarray:
  """Orthonormal directions [K - 1, K] in which not all K outputs change alike: Helmert's.

  >>> differences(2).round(3).tolist()
  [[0.707, -0.707]]
  """
  directions = np.tril(np.ones((classes, classes)), -1)[1:]
  numbers = np.arange(1, classes)
  directions[numbers - 1, numbers] = -numbers
  return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _penalty(once: ForwardPass, *, output: str) -> Array:
  classes = once.logits.shape[1]
  directions = jnp.asarray(differences(classes), once.logits.dtype)
  gradients = output_gradients(once, directions, output=output)
  # Examples next to one another: the sum is over all directions and pixels.
  return 2 / classes * squared_lengths(jnp.moveaxis(gradients, 1, 0))


@term("cross_lipschitz_penalty", title="Cross-Lipschitz penalty")
def _term(
  passes: TrainingPasses, *, output: str = "logits", penalty_mode: str = "training"
) -> Array:
  return _penalty(passes.in_mode(penalty_mode), output=output)
