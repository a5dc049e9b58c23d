"""What training minimises.

The bare terms are functions `(logits_fn, x, y) -> [B]` for one's own loss, or `-> []` where they
are norms over the whole batch. What a config names is built on them by `weighted_sum`: a pure
`(key, apply_fn, variables, batch)` that gives one device's sum of the loss, so that the step can
reduce it over devices with every example counted once.

  weighted_sum    the objective that a config describes: terms, each with its weight
  register, term  make a function of `TrainingPasses` a term, ours or one's own; TERMS has them all
  Batch           what a term finds of the examples; `total` sums over all devices
  TrainingPasses  the network's forward passes over the batch, each run once
"""

from robust_saliency.objectives.adversarial import adversarial
from robust_saliency.objectives.batch import AXIS, Batch, LossSum, Objective
from robust_saliency.objectives.cross_entropy import cross_entropy
from robust_saliency.objectives.cross_lipschitz import cross_lipschitz_penalty
from robust_saliency.objectives.distillation import distillation
from robust_saliency.objectives.input_gradient import (
  certainty_penalty,
  distilled_label_penalty,
  entropy_penalty,
  input_gradient_penalty,
)
from robust_saliency.objectives.interpretation import (
  interpretation_direction,
  interpretation_distance,
  interpretation_magnitude,
)
from robust_saliency.objectives.jacobian import jacobian_penalty, projected_jacobian_penalty
from robust_saliency.objectives.passes import ForwardPass, TrainingPasses, forward_pass
from robust_saliency.objectives.perceptual_alignment import (
  class_mean_alignment,
  perceptual_alignment,
)
from robust_saliency.objectives.terms import TERMS, Term, register, term
from robust_saliency.objectives.trades import trades
from robust_saliency.objectives.weighted_sum import weighted_sum

__all__ = [
  "AXIS",
  "TERMS",
  "Batch",
  "ForwardPass",
  "LossSum",
  "Objective",
  "Term",
  "TrainingPasses",
  "adversarial",
  "certainty_penalty",
  "class_mean_alignment",
  "cross_entropy",
  "cross_lipschitz_penalty",
  "distillation",
  "distilled_label_penalty",
  "entropy_penalty",
  "forward_pass",
  "input_gradient_penalty",
  "interpretation_direction",
  "interpretation_distance",
  "interpretation_magnitude",
  "jacobian_penalty",
  "perceptual_alignment",
  "projected_jacobian_penalty",
  "register",
  "term",
  "trades",
  "weighted_sum",
]
