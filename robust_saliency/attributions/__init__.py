"""Saliency maps.

An attribution is any `(key, logits_fn, x, y) -> map of x's shape` once its hyper-parameters are
bound by `functools.partial`. What wraps another takes it as `attribution=` and has the same form
itself; what is differentiated is the argument `score`.
"""

from robust_saliency.attributions.gradient import gradient, gradient_x_input
from robust_saliency.attributions.paths import completeness_error, integrated_gradients
from robust_saliency.attributions.postprocess import (
  absolute,
  channel_sum,
  clip_percentile,
  scale,
)
from robust_saliency.attributions.registry import ATTRIBUTIONS, get_attribution
from robust_saliency.attributions.scores import (
  SCORES,
  cross_entropy,
  get_score,
  log_probability,
  logit,
  margin,
)
from robust_saliency.attributions.smoothing import smoothgrad

__all__ = [
  "ATTRIBUTIONS",
  "SCORES",
  "absolute",
  "channel_sum",
  "clip_percentile",
  "completeness_error",
  "cross_entropy",
  "get_attribution",
  "get_score",
  "gradient",
  "gradient_x_input",
  "integrated_gradients",
  "log_probability",
  "logit",
  "margin",
  "scale",
  "smoothgrad",
]
