"""Distillation: cross-entropy with a teacher's probabilities."""

from jax import Array

from robust_saliency.core import LogitsFn
from robust_saliency.objectives import arguments
from robust_saliency.objectives.cross_entropy import check_temperature, cross_entropy_of_logits
from robust_saliency.objectives.passes import TrainingPasses
from robust_saliency.objectives.terms import term


def distillation(
  logits_fn: LogitsFn, x: Array, targets: Array, *, temperature: float | Array = 50.0
) -> Array:
  """Cross-entropy between a teacher's probabilities and softmax(z / T), per example.

  There is no factor T^2: the gradients shrink with 1/T, as in the source.

  Args:
    logits_fn: maps images [B, H, W, C] to the student's logits [B, K].
    x: images [B, H, W, C].
    targets: the teacher's probabilities at the same temperature, [B, K], >= 0 and of sum 1.
    temperature: T (traced).

  Returns:
    Losses [B].

  Raises:
    ValueError, TypeError: for a temperature that is not positive, images, probabilities or logits
      of other shapes or dtypes, or targets that are no probabilities.

  Source: Papernot et al. 2016, "Distillation as a defense"; Ross & Doshi-Velez 2018, equations 4
  and 5, T = 50.

  >>> import jax.numpy as jnp
  >>> distillation(
  ...   lambda x: 0 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)), jnp.array([[0.5, 0.5]])).tolist()
  [0.693]
  """
  check_temperature(temperature)
  logits = arguments.checked(logits_fn, x)(x)
  arguments.probabilities(targets, logits)
  return cross_entropy_of_logits(logits, targets, temperature=temperature)


@term(
  "distillation",
  title="Cross-entropy with the teacher’s labels",
  needs={"soft_targets": "labels"},
)
def _term(passes: TrainingPasses, *, temperature: float = 50.0) -> Array:
  targets = passes.batch.targets["soft_targets"]
  return cross_entropy_of_logits(passes.clean().logits, targets, temperature=temperature)
