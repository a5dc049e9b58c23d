"""What training minimises.

The bare terms are functions `(logits_fn, x, y) -> [B]` for one's own loss. What a config names is
built on them by `weighted_sum`: a pure `(key, apply_fn, variables, batch)` that gives one device's
share of the loss, so that the step can reduce it over devices with every example counted once.
"""

from robust_saliency.objectives.adversarial import adversarial
from robust_saliency.objectives.classification import cross_entropy, distillation
from robust_saliency.objectives.forward import ForwardPass, forward_pass
from robust_saliency.objectives.input_gradient import (
  certainty_penalty,
  distilled_label_penalty,
  entropy_penalty,
  input_gradient_penalty,
)
from robust_saliency.objectives.weighted_sum import TERMS, Batch, Objective, Share, weighted_sum

__all__ = [
  "TERMS",
  "Batch",
  "ForwardPass",
  "Objective",
  "Share",
  "adversarial",
  "certainty_penalty",
  "cross_entropy",
  "distillation",
  "distilled_label_penalty",
  "entropy_penalty",
  "forward_pass",
  "input_gradient_penalty",
  "weighted_sum",
]
