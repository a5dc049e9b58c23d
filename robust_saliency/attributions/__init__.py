"""Saliency maps.

An attribution is any `(key, logits_fn, x, y) -> map of x's shape` once its hyper-parameters are
bound by `functools.partial`. What wraps another takes it as `attribution=` and has the same form
itself; what is differentiated is the argument `score`.
"""

from robust_saliency.attributions.expected_gradients import expected_gradients
from robust_saliency.attributions.grad_cam import grad_cam
from robust_saliency.attributions.gradient import gradient, gradient_x_input
from robust_saliency.attributions.modified_backprop import deconvnet, guided_backprop, lrp
from robust_saliency.attributions.paths import completeness_error, integrated_gradients
from robust_saliency.attributions.perturbation import feature_ablation, occlusion
from robust_saliency.attributions.postprocess import (
  absolute,
  channel_sum,
  clip_percentile,
  scale,
)
from robust_saliency.attributions.registry import ATTRIBUTIONS, get_attribution
from robust_saliency.attributions.relu_rules import with_relu_rule
from robust_saliency.attributions.rise import rise
from robust_saliency.attributions.scores import (
  SCORES,
  cross_entropy,
  get_score,
  log_probability,
  logit,
  margin,
)
from robust_saliency.attributions.smoothing import smoothgrad, smoothgrad_squared, vargrad

__all__ = [
  "ATTRIBUTIONS",
  "SCORES",
  "absolute",
  "channel_sum",
  "clip_percentile",
  "completeness_error",
  "cross_entropy",
  "deconvnet",
  "expected_gradients",
  "feature_ablation",
  "get_attribution",
  "get_score",
  "grad_cam",
  "gradient",
  "gradient_x_input",
  "guided_backprop",
  "integrated_gradients",
  "log_probability",
  "logit",
  "lrp",
  "margin",
  "occlusion",
  "rise",
  "scale",
  "smoothgrad",
  "smoothgrad_squared",
  "vargrad",
  "with_relu_rule",
]
