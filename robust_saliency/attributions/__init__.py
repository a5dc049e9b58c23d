"""Saliency maps.

An attribution is any `(key, logits_fn, x, y) -> map of x's shape` once its hyper-parameters are
bound by `functools.partial`. What wraps another takes it as `attribution=` and has the same form
itself; what is differentiated is the argument `score`.

Images are [B, H, W, C]. What follows gradients explains inputs of any shape [B, ...]; what hides
parts (occlusion, ablation, RISE, LIME) also signals [B, L, C] and rows of features [B, D], which it
takes for images of one column. A batch without images has maps without images.

LIME's local models are aggregated by `normlime`, its alternatives (`AGGREGATIONS`) and `sp_lime`;
`superpixels` has the segmentations, `global_features` what superpixels of different images share.
Whether a map is right is asked by `faithfulness`: `deletion_curve`, `infidelity` and their like.

Bad arguments raise ValueError or TypeError, in a sentence that names the argument, what was given
and what is allowed; the docstrings list what is raised beyond that. Traced values, inside `jit`,
cannot be checked.
"""

from robust_saliency.attributions.deeplift import deeplift
from robust_saliency.attributions.expected_gradients import expected_gradients
from robust_saliency.attributions.faithfulness import (
  area_under_curve,
  deletion_curve,
  infidelity,
  insertion_curve,
  parameter_randomization,
  rank_correlation,
  sensitivity_max,
)
from robust_saliency.attributions.grad_cam import grad_cam
from robust_saliency.attributions.gradient import gradient, gradient_x_input
from robust_saliency.attributions.local import global_features, superpixels
from robust_saliency.attributions.local.lime import explain_locally, lime
from robust_saliency.attributions.local.lime_ridge import LocalModel, weighted_ridge
from robust_saliency.attributions.local.lime_warnings import warn_of_low_scores
from robust_saliency.attributions.local.normlime import normlime
from robust_saliency.attributions.local.normlime_alternatives import AGGREGATIONS
from robust_saliency.attributions.local.sp_lime import Pick, sp_lime
from robust_saliency.attributions.map_statistics import alignment, gini, total_variation
from robust_saliency.attributions.modified_backprop import deconvnet, guided_backprop, lrp
from robust_saliency.attributions.paths import completeness_error, integrated_gradients
from robust_saliency.attributions.perturbation import feature_ablation, occlusion
from robust_saliency.attributions.postprocess import (
  absolute,
  channel_sum,
  clip_percentile,
  scale,
)
from robust_saliency.attributions.registry import ATTRIBUTIONS, get_attribution, register
from robust_saliency.attributions.relu_rules import with_relu_rule
from robust_saliency.attributions.rise import rise
from robust_saliency.attributions.scores import (
  SCORES,
  cross_entropy,
  get_score,
  log_probability,
  logit,
  margin,
  probability,
  uniform_cross_entropy,
)
from robust_saliency.attributions.smoothing import smoothgrad, smoothgrad_squared, vargrad

__all__ = [
  "AGGREGATIONS",
  "ATTRIBUTIONS",
  "SCORES",
  "LocalModel",
  "Pick",
  "absolute",
  "alignment",
  "area_under_curve",
  "channel_sum",
  "clip_percentile",
  "completeness_error",
  "cross_entropy",
  "deconvnet",
  "deeplift",
  "deletion_curve",
  "expected_gradients",
  "explain_locally",
  "feature_ablation",
  "get_attribution",
  "get_score",
  "gini",
  "global_features",
  "grad_cam",
  "gradient",
  "gradient_x_input",
  "guided_backprop",
  "infidelity",
  "insertion_curve",
  "integrated_gradients",
  "lime",
  "log_probability",
  "logit",
  "lrp",
  "margin",
  "normlime",
  "occlusion",
  "parameter_randomization",
  "probability",
  "rank_correlation",
  "register",
  "rise",
  "scale",
  "sensitivity_max",
  "smoothgrad",
  "smoothgrad_squared",
  "sp_lime",
  "superpixels",
  "total_variation",
  "uniform_cross_entropy",
  "vargrad",
  "warn_of_low_scores",
  "weighted_ridge",
  "with_relu_rule",
]
