"""The list of all fields that a config may have: their types, defaults and allowed names."""

import textwrap
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union

from robust_saliency import data
from robust_saliency.attacks.evaluation.autoattack import VERSIONS
from robust_saliency.attacks.loop import KEEP
from robust_saliency.attributions.local.feature_selection import SELECTIONS
from robust_saliency.attributions.local.lime_neighbourhood import DISTANCES
from robust_saliency.attributions.paths import RULES
from robust_saliency.attributions.scores import SCORES
from robust_saliency.core.losses import LOSSES
from robust_saliency.core.norms import NORMS
from robust_saliency.core.settings import Range
from robust_saliency.models.local_contrast import MEANS
from robust_saliency.models.mlp import KERNELS
from robust_saliency.models.wide_resnet import FORMS
from robust_saliency.objectives.input_gradient import SCALINGS
from robust_saliency.objectives.output_gradients import OUTPUTS
from robust_saliency.objectives.passes import ATTACK_LABELS, MODES
from robust_saliency.objectives.terms import TERMS
from robust_saliency.pipeline.schema import REGISTRIES, REQUIRED, Field, fields_of
from robust_saliency.pipeline.settings import DatasetSettings, ExperimentSettings
from robust_saliency.studies import STUDIES
from robust_saliency.training import Recipe, probe, recipe, trainers
from robust_saliency.training.trainers import TRAINERS

WIDTH = 80
_LARGEST = 2**31 - 1  # of a count: no limit that anybody meets

# Field -> the names that it takes where it is text.
NAMES: Mapping[str, Collection[str]] = {
  "loss": LOSSES,
  "norm": NORMS,
  "keep": KEEP,
  "score": SCORES,
  "rule": RULES,
  "selection": SELECTIONS,
  "distance": DISTANCES,
  "scaling": SCALINGS,
  "attack_labels": ATTACK_LABELS,
  "attack_mode": MODES,
  "penalty_mode": MODES,
  "contrast_mean": MEANS,
  "kernel_init": KERNELS,
  "form": FORMS,
  "output": OUTPUTS,
  "trainer": TRAINERS,
  "version": VERSIONS,
}
# Fields that hold others, which no dataclass describes.
INSIDE: Mapping[str, Collection[str]] = {
  "augmentation": ("padding", "flip_probability"),
  "early_stopping": recipe.EARLY_STOPPING,
  "probe": probe.FIELDS,
}
# What the package itself gives.
_GIVEN = ("steps_per_epoch", "total_steps")
# Where the entries of a registry stand.
_PLACES = {
  "architecture": "config.models.NAME.architecture",
  "optimizer": "config.models.NAME.optimizer",
  "schedule": "config.models.NAME.optimizer.schedule",
  "attack": "attack, and each of attacks",
  "attribution": "attribution",
}


def lines() -> Iterator[str]:
  """The list, in lines of 80 characters; what was imported or registered is among it.

  >>> next(lines())
  'config'
  """
  places: dict[str, Mapping[str, Field]] = {
    "config": fields_of(ExperimentSettings),
    "config.dataset": fields_of(DatasetSettings),
    "config.models.NAME": fields_of(Recipe),
  }
  for registry in ("architecture", "optimizer", "schedule"):
    places |= _entries(registry)
  for name, settings in trainers.SETTINGS.items():
    places[f"config.models.NAME.trainer_settings, trainer {name}"] = fields_of(settings)
  for name, term in TERMS.items():
    places[f"config.models.NAME.objective.{name}"] = fields_of(term)
  for name, study in STUDIES.items():
    places[f"config.studies.NAME, kind {name}"] = fields_of(study)
  for registry in ("attack", "attribution"):
    places |= _entries(registry)
  for place, fields in places.items():
    yield from _of_place(place, fields)


def _entries(registry: str) -> dict[str, Mapping[str, Field]]:
  return {
    f"{_PLACES[registry]}, name {name}": fields_of(entry)
    for name, entry in REGISTRIES[registry].items()
  }


def _of_place(place: str, fields: Mapping[str, Field]) -> Iterator[str]:
  if place != "config":
    yield ""
  yield place
  shown = {name: words for name, field in fields.items() if (words := _about(place, name, field))}
  width = max(map(len, shown), default=0) + 4
  for name, words in shown.items():
    yield from textwrap.wrap(
      words,
      WIDTH,
      initial_indent=f"  {name}".ljust(width),
      subsequent_indent=" " * width,
      break_on_hyphens=False,
    )
  if not shown:
    yield "  no fields"


def _about(place: str, name: str, field: Field) -> str:
  """What a field holds, and its default; "" for one that only a program can give."""
  words = _allowed(place, name) or in_words(field.annotation)
  if name in NAMES and words.startswith("text"):
    words = words.replace("text", f"one of {', '.join(NAMES[name])}", 1)
  elif name in ("attack", "attribution", "attacks", "schedule"):
    several = "by name, each" if name == "attacks" else ""
    words = " ".join(f"fields {several} with the name of a member, below".split())
    if name.startswith("attack") and place.startswith("config.studies"):
      words += ", a label, and a temperature of the logits"
    if name == "attacks" and place.endswith("kind evaluation"):
      words += f"; or of autoattack and its version, one of {', '.join(VERSIONS)}"
  if name in _GIVEN or (not words and field.annotation is not Any):
    return ""
  return f"{words or 'any value'}; {_default(field.default)}"


def _allowed(place: str, name: str) -> str:
  """What is known of a field besides its annotation."""
  if name in INSIDE:
    return f"fields: {', '.join(INSIDE[name])}"
  if place == "config.models.NAME":
    if name in REGISTRIES:
      return f"fields, with a name, one of {', '.join(REGISTRIES[name])}"
    if name == "objective":
      return f"terms: {', '.join(TERMS)}"
  if (place, name) == ("config", "studies"):
    return f"studies by name, each with a kind: {', '.join(STUDIES)}"
  if (place, name) == ("config", "models"):
    return "networks by name, each with the fields of config.models.NAME"
  if (place, name) == ("config", "seeds"):
    return "list of whole numbers >= 0"
  if (place, name) == ("config", "claims"):
    return "name of a file beside the config, or list of rows"
  if (place, name) == ("config.dataset", "name"):
    return f"one of {', '.join(data.names())}"
  return ""


def _default(value: Any) -> str:
  if value is REQUIRED:
    return repr(value)
  if callable(value):
    value = getattr(value, "__name__", "a function")
  return f"default: {'none' if value in (None, '', (), {}) else value}"


def in_words(annotation: Any) -> str:
  """What a config may hold where this is meant; "" for what only a program can give.

  >>> in_words(bool), in_words(float | None), in_words(tuple[int, ...])
  ('true or false', 'number', 'list of whole numbers')
  >>> in_words(Annotated[int, Range(1, 2**31 - 1)])
  'whole number >= 1'
  """
  origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
  if origin is Annotated:
    words, rule = in_words(arguments[0]), arguments[1]
    if not isinstance(rule, Range):
      return words
    return f"{words} {Range(rule.low, above=rule.above) if rule.high >= _LARGEST else rule}"
  if origin in (Union, types.UnionType):
    parts = [in_words(one) for one in arguments if one is not type(None)]
    return " or ".join(dict.fromkeys(filter(None, parts)))
  if origin is Literal:
    return f"one of {', '.join(map(str, arguments))}"
  if origin in (tuple, Sequence):
    return _list(arguments)
  scalars = {bool: "true or false", int: "whole number", float: "number", str: "text"}
  if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
    inner = in_words(arguments[1])
    return f"{inner} by name" if inner and inner != "fields" else "fields"
  if isinstance(annotation, type) and fields_of(annotation):
    return f"fields: {', '.join(fields_of(annotation))}"
  return scalars.get(annotation, "")


def _list(arguments: tuple[Any, ...]) -> str:
  each = [in_words(one) for one in arguments if one is not Ellipsis]
  if len(arguments) == 2 and arguments[1] is not Ellipsis and len(set(each)) == 1:
    return f"two {each[0]}s"
  words = each[0].replace("number", "numbers", 1) if each[0] != "text" else "text"
  return f"list of {words}" if each[0] else ""
