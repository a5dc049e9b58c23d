"""Optimisers by name, from optax."""

from collections.abc import Callable, Mapping
from typing import Any

import optax

from robust_saliency.core import checks
from robust_saliency.core.binding import bind


def _adam(
  *, learning_rate: Any, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8
) -> optax.GradientTransformation:
  return optax.adam(learning_rate, b1=b1, b2=b2, eps=eps)


def _sgd(
  *, learning_rate: Any, momentum: float = 0.0, nesterov: bool = False
) -> optax.GradientTransformation:
  return optax.sgd(learning_rate, momentum=momentum or None, nesterov=nesterov)


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {"adam": _adam, "sgd": _sgd}


def get_optimizer(settings: Mapping[str, Any]) -> optax.GradientTransformation:
  """The optimiser that a config describes.

  Args:
    settings: "name" ("adam" or "sgd"), "learning_rate", and the optimiser's other numbers under
      optax's names.

  Returns:
    An optax optimiser.

  Raises:
    ValueError: for an unknown name or setting, or a learning rate that is not positive.

  >>> get_optimizer({"name": "adam", "learning_rate": 1e-3}).init({"w": 1.0})[0].count.item()
  0
  """
  if "learning_rate" not in settings:
    raise ValueError(f"optimizer needs a learning_rate, got {dict(settings)}")
  checks.positive(learning_rate=settings["learning_rate"])
  return bind(OPTIMIZERS, settings, what="optimizer")()
