"""The attributions by name, for configs.

`expected_gradients`, which needs background images, is not among them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from robust_saliency.attributions.deeplift import deeplift
from robust_saliency.attributions.grad_cam import grad_cam
from robust_saliency.attributions.gradient import gradient, gradient_x_input
from robust_saliency.attributions.lime import lime
from robust_saliency.attributions.modified_backprop import deconvnet, guided_backprop, lrp
from robust_saliency.attributions.paths import integrated_gradients
from robust_saliency.attributions.perturbation import feature_ablation, occlusion
from robust_saliency.attributions.rise import rise
from robust_saliency.attributions.smoothing import smoothgrad, smoothgrad_squared, vargrad
from robust_saliency.core.binding import bind

ATTRIBUTIONS: dict[str, Callable] = {
  "gradient": gradient,
  "gradient_x_input": gradient_x_input,
  "integrated_gradients": integrated_gradients,
  "smoothgrad": smoothgrad,
  "smoothgrad_squared": smoothgrad_squared,
  "vargrad": vargrad,
  "grad_cam": grad_cam,
  "guided_backprop": guided_backprop,
  "deconvnet": deconvnet,
  "lrp": lrp,
  "deeplift": deeplift,
  "occlusion": occlusion,
  "feature_ablation": feature_ablation,
  "rise": rise,
  "lime": lime,
}


def get_attribution(settings: Mapping[str, Any]) -> Callable:
  """The attribution that a config describes, with its hyper-parameters bound.

  Args:
    settings: {"name": one of `ATTRIBUTIONS`, and any of its keyword hyper-parameters}. Where
      that attribution wraps another, "attribution" is again such a mapping.

  Returns:
    `(key, logits_fn, x, y) -> map of x's shape`.

  Raises:
    ValueError: for an unknown name or setting.

  >>> get_attribution({"name": "smoothgrad", "samples": 3}).keywords
  {'samples': 3}
  """
  inner = settings.get("attribution")
  if isinstance(inner, Mapping):
    settings = {**settings, "attribution": get_attribution(inner)}
  return bind(ATTRIBUTIONS, settings, what="attribution")
