"""The attributions by name, for configs.

`expected_gradients`, which needs background images, is not among them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from robust_saliency.attributions.deeplift import deeplift
from robust_saliency.attributions.grad_cam import grad_cam
from robust_saliency.attributions.gradient import gradient, gradient_x_input
from robust_saliency.attributions.local.lime import lime
from robust_saliency.attributions.modified_backprop import deconvnet, guided_backprop, lrp
from robust_saliency.attributions.paths import integrated_gradients
from robust_saliency.attributions.perturbation import feature_ablation, occlusion
from robust_saliency.attributions.rise import rise
from robust_saliency.attributions.smoothing import smoothgrad, smoothgrad_squared, vargrad
from robust_saliency.core import Bounds, checks, registry
from robust_saliency.core.binding import bind, find, settings_of

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


def _is_relu_off(settings: Mapping[str, Any]) -> bool:
  return not settings.get("relu", settings_of(grad_cam)["relu"].default)


def _is_score_signed(settings: Mapping[str, Any]) -> bool:
  # RISE adds up scores of masked images, each with a mask >= 0.
  score = settings.get("score", settings_of(rise)["score"].default)
  return score not in ("probability", "cross_entropy", "uniform_cross_entropy")


def _is_inner_signed(settings: Mapping[str, Any]) -> bool:
  inner = settings.get("attribution")
  return is_signed(inner) if isinstance(inner, Mapping) else True


# Whether the maps of these settings may have negative values; those of all others may.
_SIGNED: dict[str, Callable[[Mapping[str, Any]], bool]] = {
  "smoothgrad": _is_inner_signed,  # a mean of maps
  "smoothgrad_squared": lambda settings: False,
  "vargrad": lambda settings: False,
  "grad_cam": _is_relu_off,
  "rise": _is_score_signed,
}


def register(name: str, attribution: Callable, *, signed: bool = True) -> Callable:
  """Lets configs and commands name an attribution of your own.

  Args:
    name: what configs call it.
    attribution: `(key, logits_fn, x, y, *, hyper-parameters) -> map of x's shape`.
    signed: whether its maps may have negative values.

  Returns:
    The attribution.

  Raises:
    ValueError, TypeError: for a name that is taken or not a string.
  """
  registry.register(ATTRIBUTIONS, name, attribution, what="attribution")
  if not signed:
    _SIGNED[name] = lambda settings: False
  return attribution


def is_signed(settings: Mapping[str, Any]) -> bool:
  """Whether the maps of an attribution may be negative; the others are >= 0 at every pixel.

  Args:
    settings: as of `get_attribution`.

  >>> is_signed({"name": "gradient"}), is_signed({"name": "vargrad"})
  (True, False)
  >>> is_signed({"name": "smoothgrad", "attribution": {"name": "grad_cam"}})
  False
  """
  signed = _SIGNED.get(settings["name"])
  return True if signed is None else signed(settings)


def get_attribution(settings: Mapping[str, Any], *, bounds: Bounds | None = None) -> Callable:
  """The attribution that a config describes, with its hyper-parameters bound.

  Args:
    settings: {"name": one of `ATTRIBUTIONS`, and any of its keyword hyper-parameters}. Where
      that attribution wraps another, "attribution" is again such a mapping.
    bounds: (low, high) of the pixels, for each of the attributions that has an argument for them
      and is not given others; None leaves them at their own.

  Returns:
    `(key, logits_fn, x, y) -> map of x's shape`.

  Raises:
    ValueError, TypeError: for an unknown name or setting, or settings that are not a mapping.

  >>> get_attribution({"name": "smoothgrad", "samples": 3}).keywords
  {'samples': 3}
  """
  checks.mapping(**{"settings of attribution": settings})
  settings = dict(settings)
  inner: Any = settings.get("attribution")
  if "attribution" in settings and not callable(inner):
    checks.mapping(**{"the attribution inside another": inner})
    settings["attribution"] = get_attribution(inner, bounds=bounds)
  function = find(ATTRIBUTIONS, settings)
  if bounds is not None and function is not None and "bounds" in settings_of(function):
    settings = {"bounds": bounds, **settings}
  return bind(ATTRIBUTIONS, settings, what="attribution")
