"""The models by name, for configs."""

import dataclasses
import typing
from typing import Any

import flax.linen as nn

from robust_saliency.core import checks, registry
from robust_saliency.core.settings import is_readable, read
from robust_saliency.models.digits import DigitsCNN
from robust_saliency.models.kim import KimCIFARCNN, KimMNISTCNN
from robust_saliency.models.mlp import MLP
from robust_saliency.models.noack import NoackCNN
from robust_saliency.models.resnet import ResNet
from robust_saliency.models.ross import RossCNN
from robust_saliency.models.wide_resnet import WideResNet

MODELS: dict[str, type[nn.Module]] = {
  "digits": DigitsCNN,
  "ross": RossCNN,
  "kim_mnist": KimMNISTCNN,
  "kim_cifar": KimCIFARCNN,
  "noack": NoackCNN,
  "wide_resnet": WideResNet,
  "resnet": ResNet,
  "mlp": MLP,
}


def build(name: str, **fields: Any) -> nn.Module:
  """The model of that name.

  Args:
    name: one of `names()`.
    **fields: any of its attributes.

  Returns:
    A Flax module with the arguments that `robust_saliency.models` describes.

  Raises:
    ValueError, TypeError: for an unknown name or field (suggests the nearest that exists), one
      that the model needs and is not there, or a value that its annotation does not allow.

  >>> build("digits", batch_norm=True).batch_norm
  True
  """
  checks.one_of(name, MODELS, argument="model")
  allowed = [
    field.name for field in dataclasses.fields(MODELS[name]) if field.name not in ("parent", "name")
  ]
  for field in fields:
    checks.one_of(field, allowed, argument=f"field of model {name!r}")
  for one in dataclasses.fields(MODELS[name]):
    has_default = (one.default, one.default_factory) != (dataclasses.MISSING,) * 2
    if one.name in allowed and one.name not in fields and not has_default:
      raise ValueError(f"model {name!r} needs the field {one.name!r}, which is missing")
  _check_fields(name, fields)
  # A config's lists, as modules must be hashable.
  return MODELS[name](**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


def _check_fields(name: str, fields: dict[str, Any]) -> None:
  """Raises for values that a module's annotations do not allow; those of another kind pass."""
  try:
    hints = typing.get_type_hints(MODELS[name])
  except NameError:  # names that only a type checker sees
    hints = {}
  for field, value in fields.items():
    if is_readable(hints.get(field)):
      read(hints[field], value, f"model {name!r}: {field}")
  if "num_classes" in fields:
    checks.count(num_classes=fields["num_classes"])


def register(name: str, module: type[nn.Module]) -> type[nn.Module]:
  """Lets configs name a Flax module of your own, with the call that `models` describes.

  Raises:
    ValueError, TypeError: for a name that is taken or not a string.
  """
  return registry.register(MODELS, name, module, what="model")


def names() -> tuple[str, ...]:
  """The names that `build` knows.

  >>> names()
  ('digits', 'ross', 'kim_mnist', 'kim_cifar', 'noack', 'wide_resnet', 'resnet', 'mlp')
  """
  return tuple(MODELS)
