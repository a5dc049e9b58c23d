"""The fields that a config may have, whether it gives them or leaves them at their defaults.

What reads a config is its schema: frozen dataclasses, the fields of modules, and the keyword
arguments of attacks, attributions, terms and optimizers. Commands make each of them a flag.
"""

import dataclasses
import inspect
import types
import typing
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union

import flax.linen as nn

from robust_saliency.attacks.registry import ATTACKS
from robust_saliency.attributions.registry import ATTRIBUTIONS
from robust_saliency.core.binding import settings_of
from robust_saliency.models.registry import MODELS
from robust_saliency.objectives.terms import TERMS, Term
from robust_saliency.pipeline.settings import ExperimentSettings
from robust_saliency.studies import STUDIES
from robust_saliency.training import Recipe, optimizers, trainers
from robust_saliency.training.map_settings import MapSettings
from robust_saliency.training.schedules import SCHEDULES

# Field -> what it names; in plural, a mapping of such entries.
REGISTRIES: dict[str, Mapping[str, Callable]] = {
  "architecture": ChainMap[str, Any](trainers.ARCHITECTURES, MODELS),
  "optimizer": optimizers.OPTIMIZERS,
  "schedule": SCHEDULES,
  "attack": ATTACKS,
  "attribution": ATTRIBUTIONS,
}


class _Required:
  """In the place of the default of a field that must be given."""

  def __repr__(self) -> str:
    return "required"


REQUIRED = _Required()


class Field(NamedTuple):
  """A field of a config: its annotation, `Any` where there is none, and its default."""

  annotation: Any
  default: Any = REQUIRED


def fields_at(config: Any, path: Sequence[str]) -> dict[str, Any]:
  """The fields that may stand at a place of a config.

  Args:
    config: the config, which says which kind of study, attack, architecture... a place holds.
    path: the names that lead there; none for the config's own fields.

  Returns:
    Field -> its annotation, `Any` where there is none. Empty where the names are the config's own
    choice, as those of its models are, or where nothing is known of the place.

  >>> config = {"models": {"cnn": {"architecture": {"name": "digits"}}}, "studies": {}}
  >>> list(fields_at(config, ["dataset"]))
  ['name', 'path', 'bounds', 'validation']
  >>> fields_at(config, ["models", "cnn", "architecture"])["batch_norm"]
  <class 'bool'>
  >>> fields_at(config, ["models"])
  {}
  """
  kind: Any = ExperimentSettings
  for depth, part in enumerate(path):
    here = list(path[: depth + 1])
    annotation = fields_of(kind).get(part, Field(Any))[0]
    kind = _meant(annotation, config, here)
  return {name: field.annotation for name, field in fields_of(kind).items()}


def flag_type(annotation: Any) -> type:
  """What a command line's text is read as: bool, int, float, str, tuple, or object for the rest.

  >>> flag_type(float | None), flag_type(tuple[int, ...]), flag_type(Mapping[str, Any])
  (<class 'float'>, <class 'tuple'>, <class 'object'>)
  """
  origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
  if origin is Annotated:
    return flag_type(arguments[0])
  if origin in (Union, types.UnionType):
    kinds = {flag_type(one) for one in arguments if one is not type(None)} - {object}
    return kinds.pop() if len(kinds) == 1 else float if kinds == {int, float} else object
  if origin is Literal:
    return str
  if origin in (tuple, Sequence):
    return tuple
  return annotation if annotation in (bool, int, float, str) else object


def _meant(annotation: Any, config: Any, path: list[str]) -> Any:
  """What is read at a place: a dataclass, a module or a function; else its annotation."""
  match path:
    case ["models", _]:
      return Recipe
    case ["models", name, "trainer_settings"]:
      return trainers.SETTINGS.get(_text(config, ["models", name, "trainer"]) or "")
    case ["models", _, "maps", _]:
      return MapSettings
    case ["studies", _]:
      return STUDIES.get(_text(config, [*path, "kind"]))
    case ["models", _, "objective", term]:
      return TERMS.get(term)
    case [*_, field, _] if field.endswith("s") and field[:-1] in REGISTRIES:
      return REGISTRIES[field[:-1]].get(_text(config, [*path, "name"]))
    case [*_, field] if field in REGISTRIES:
      return REGISTRIES[field].get(_text(config, [*path, "name"]))
  return annotation


def fields_of(kind: Any) -> dict[str, Field]:
  """The fields of a dataclass, a module, a term or a function; none for anything else.

  >>> fields_of(lambda x, *, by=1: x)
  {'by': Field(annotation=typing.Any, default=1)}
  """
  if dataclasses.is_dataclass(kind):
    of_kind = [one for one in dataclasses.fields(kind) if one.init]
    if isinstance(kind, type) and issubclass(kind, nn.Module):
      of_kind = [one for one in of_kind if one.name not in ("parent", "name")]
    defaults = {
      one.name: one.default if one.default_factory is dataclasses.MISSING else one.default_factory()
      for one in of_kind
    }
  elif isinstance(kind, Term):
    return {"weight": Field(float, 1.0), **fields_of(kind.function)}
  elif inspect.isroutine(kind):
    defaults = {name: one.default for name, one in settings_of(kind).items()}
  else:
    return {}
  try:
    hints = typing.get_type_hints(kind, include_extras=True)
  except NameError:  # names that only a type checker sees
    hints = {}
  shared = optimizers.SHARED if kind in optimizers.OPTIMIZERS.values() else {}
  missing = (dataclasses.MISSING, inspect.Parameter.empty)
  own = {
    name: Field(hints.get(name, Any), REQUIRED if one in missing else one)
    for name, one in defaults.items()
  }
  return {**own, **{name: Field(one, None) for name, one in shared.items() if name not in own}}


def _text(config: Any, path: Sequence[str]) -> Any:
  """What stands at a place that may not be there; None unless it is a name."""
  for part in path:
    if not hasattr(config, "keys") or part not in config:
      return None
    config = config[part]
  return config if isinstance(config, str) else None
