"""Optimisers by name, from optax."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import optax

from robust_saliency.core import checks
from robust_saliency.core.binding import bind, find, settings_of
from robust_saliency.training.schedules import get_schedule


def _adam(
  *,
  learning_rate: optax.ScalarOrSchedule,
  b1: float = 0.9,
  b2: float = 0.999,
  eps: float = 1e-8,
  epsilon_hat: bool = False,
) -> optax.GradientTransformation:
  checks.below_one(b1=b1, b2=b2)
  _non_negative(eps=eps)
  checks.flag(epsilon_hat=epsilon_hat)
  if not epsilon_hat:
    return optax.adam(learning_rate, b1=b1, b2=b2, eps=eps)
  return optax.chain(
    _scale_by_epsilon_hat(b1, b2, eps), optax.scale_by_learning_rate(learning_rate)
  )


def _scale_by_epsilon_hat(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
  """m_hat / (sqrt(v_hat) + eps / sqrt(1 - b2^t)), which is m_hat sqrt(1 - b2^t) / (sqrt(v) + eps).

  Source: Kingma & Ba 2015, the last paragraph of section 2, whose epsilon hat TensorFlow 1 takes.
  """

  def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
    correction = jnp.sqrt(1 - b2 ** (state.count + 1))
    return optax.scale_by_adam(b1, b2, eps / correction).update(gradient, state, params)

  return optax.GradientTransformation(optax.scale_by_adam(b1, b2).init, update)


def _adamw(
  *,
  learning_rate: optax.ScalarOrSchedule,
  b1: float = 0.9,
  b2: float = 0.999,
  eps: float = 1e-8,
  weight_decay: float = 1e-4,
) -> optax.GradientTransformation:
  checks.below_one(b1=b1, b2=b2)
  _non_negative(eps=eps, weight_decay=weight_decay)
  return optax.adamw(learning_rate, b1=b1, b2=b2, eps=eps, weight_decay=weight_decay)


def _sgd(
  *, learning_rate: optax.ScalarOrSchedule, momentum: float = 0.0, nesterov: bool = False
) -> optax.GradientTransformation:
  checks.below_one(momentum=momentum)
  return optax.sgd(learning_rate, momentum=momentum or None, nesterov=nesterov)


def _non_negative(**numbers: Any) -> None:
  checks.scalar(**numbers)
  checks.non_negative(**numbers)


OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
  "adam": _adam,
  "adamw": _adamw,
  "sgd": _sgd,
}
SHARED = {"schedule": Mapping[str, Any], "weight_decay": float}  # what each may have beside its own


def get_optimizer(
  settings: Mapping[str, Any], *, steps_per_epoch: int = 1, total_steps: int = 1
) -> optax.GradientTransformation:
  """The optimiser that a config describes.

  Args:
    settings: "name" ("adam", "adamw" or "sgd"), "learning_rate", and its other numbers under
      optax's names ("b1", "b2", "eps"; "momentum", "nesterov"). Adam's "epsilon_hat": True adds
      eps to the root of the second moment before its bias is corrected, as TensorFlow 1 does; its
      eps is then larger by 1 / sqrt(1 - b2^t) at step t. With any of them "schedule", see
      `schedules`, which multiplies the learning rate, and "weight_decay", which adds
      weight_decay * w to the gradient of every parameter w, biases and batch norm's included.
      The decay is coupled (before the momentum), as in the papers' code and PyTorch's SGD and
      Adam; "adamw" alone takes it off the parameters themselves, 1e-4 of them times the learning
      rate by default (Loshchilov & Hutter 2019, algorithm 2).
    steps_per_epoch: what a schedule takes for an epoch.
    total_steps: how long the training is, for a schedule.

  Returns:
    An optax optimiser.

  Raises:
    ValueError: for an unknown name or setting, or a learning rate that is not positive.

  The papers' own:

    Ross & Doshi-Velez   {"name": "adam", "learning_rate": 2e-4, "eps": 1e-4,
                          "epsilon_hat": True}
    Kim, Seo & Jeon      {"name": "adam", "learning_rate": 1e-3}
    Noack et al.         {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9, "nesterov": True,
                          "weight_decay": 1e-5, "schedule": {"name": "cosine_per_epoch"}}; on
                         CIFAR-10 0.1 and 5e-4

  >>> get_optimizer({"name": "adam", "learning_rate": 1e-3}).init({"w": 1.0})[0].count.item()
  0
  """
  checks.mapping(optimizer=settings)
  settings = dict(settings)
  if (function := find(OPTIMIZERS, settings)) is not None:
    allowed = ("name", *settings_of(function), *SHARED)
    for name in settings:
      checks.one_of(name, allowed, argument=f"setting of optimizer {settings['name']!r}")
  if "learning_rate" not in settings:
    raise ValueError(f"optimizer needs a learning_rate, got {settings}")
  checks.scalar(learning_rate=settings["learning_rate"])
  checks.positive(learning_rate=settings["learning_rate"])
  decoupled = function is not None and "weight_decay" in settings_of(function)
  weight_decay = None if decoupled else settings.pop("weight_decay", None)
  schedule = settings.pop("schedule", None)
  if schedule is not None:
    checks.mapping(schedule=schedule)
    rate = settings["learning_rate"]
    factor = get_schedule(dict(schedule), steps_per_epoch=steps_per_epoch, total_steps=total_steps)
    settings["learning_rate"] = lambda step: rate * factor(step)
  optimizer = bind(OPTIMIZERS, settings, what="optimizer")()
  if weight_decay is None:
    return optimizer
  _non_negative(weight_decay=weight_decay)
  return optax.chain(optax.add_decayed_weights(weight_decay), optimizer)
