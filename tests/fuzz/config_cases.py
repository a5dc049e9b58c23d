"""Configs with one field that is nonsense or misspelt: checked, not run."""

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any
from unittest import mock

from robust_saliency.pipeline.plan import Plan
from robust_saliency.training import Network
from tests.fuzz import nonsense
from tests.fuzz.cases import Case, Refused, brief
from tests.fuzz.config_fields import CONFIGS, EXPERIMENTS, kind_of, own_terms, paths

Path = tuple[str, ...]

# What a sentence may say instead of a field's own name.
_ALSO = {
  "architecture": ("model",),
  "models": ("model",),
}
# The settings of one study's attack alone: nothing knows them where the others are read.
_TAKEN_AWAY = ("precision",)
# Required: without it there is nothing to check.
_MODEL = {
  "architecture": {"name": "mlp", "hidden": []},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "sgd", "learning_rate": 0.125},  # no other network's
  "batch_size": 50,
  "steps": 1,
}


@functools.cache
def cases() -> Sequence[Case]:
  """Config x field x nonsense, and config x mapping x a misspelt field."""
  found = []
  for name, make in CONFIGS.items():
    config = make()
    for path in paths(config):
      found += [_case(name, path, value) for _, value in _nonsense(path)]
    found += [_misspelt(name, path) for path in paths(config) if _can_be_misspelt(path)]
  return found


def _nonsense(path: Path) -> list[tuple[str, Any]]:
  kind, *but = kind_of(path)
  return [(one, value) for one, value in nonsense.of(kind, *but) if not nonsense.is_array(value)]


def _case(name: str, path: Path, value: Any) -> Case:
  what = f"{name}: {'.'.join(path)} = {brief(value)}"
  return Case(what, _names(path), lambda: check(changed(CONFIGS[name](), path, value)))


def _can_be_misspelt(path: Path) -> bool:
  """Where fields are of the schema; models, studies and the like have names of one's own."""
  parents = ("models", "studies", "attacks", "families", "maps")
  own = len(path) > 1 and (path[-2] in parents or (len(path) > 2 and path[-3] == "families"))
  return not own and len(path[-1]) > 4


def _misspelt(name: str, path: Path) -> Case:
  field = path[-1][:-2] + path[-1][-1]

  def run() -> None:
    config = copy.deepcopy(CONFIGS[name]())
    node = _at(config, path[:-1])
    value = node.pop(path[-1])
    node[field] = value
    check(reduced(config, (*path[:-1], field)))

  what = f"{name}: {'.'.join(path)} misspelt as {field}"
  suggestion = "" if path[-1] in _TAKEN_AWAY else f" (did you mean {path[-1]!r}?)"
  return Case(what, (f"got {field!r}{suggestion}",), run)


def _names(path: Path) -> tuple[str, ...]:
  """Of which a sentence must have one: the field's, or of a `name` what it names."""
  last = path[-1]
  parent = path[-2] if len(path) > 1 else ""
  if last == "name":
    return ("name", parent, *_ALSO.get(parent, ()), *(one for one in ("attack",) if one in parent))
  return (last, *_ALSO.get(last, ()))


def _at(config: Mapping[str, Any], path: Path) -> Any:
  node: Any = config
  for name in path:
    node = node[name]
  return node


def changed(config: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
  """The part of a config that a field is checked with, this field being changed."""
  config = copy.deepcopy(dict(config))
  _at(config, path[:-1])[path[-1]] = value
  return reduced(config, path)


def reduced(config: dict[str, Any], path: Path) -> dict[str, Any]:
  """Without what does not concern the field: other networks are as small as can be."""
  where, kept = path[0], path[1] if len(path) > 1 else None
  models, studies = config.get("models"), config.get("studies")
  own = models.get(kept) if where == "models" and isinstance(models, Mapping) else None
  follows = isinstance(own, Mapping) and bool(own.get("choices"))
  mapped = isinstance(own, Mapping) and bool(own.get("maps"))
  if isinstance(models, Mapping) and path != ("models",):
    # Those that follow from a choice may bear the name of its family, which then stands for them.
    config["models"] = {
      name: one if where == "models" and name == kept else _MODEL
      for name, one in models.items()
      if name == kept or not (isinstance(one, Mapping) and one.get("choices"))
    }
  if isinstance(studies, Mapping) and path != ("studies",):
    config["studies"] = {
      name: one
      for name, one in studies.items()
      if (where == "studies" and (name == kept or _chooses(one)))
      or (follows and _chooses(one))
      or (mapped and _makes_maps(one))
    }
  return {**config, "claims": [], "published": None} | (
    {where: config[where]} if where in ("claims", "published") and where in config else {}
  )


def _chooses(study: Any) -> bool:
  """Whether a study chooses networks, since others know these by its families' names."""
  return isinstance(study, Mapping) and study.get("kind") == "selection"


def _makes_maps(study: Any) -> bool:
  """Whether a study makes maps, which a model may name."""
  return isinstance(study, Mapping) and study.get("kind") == "target_maps"


_check_of_all = Network.check


def _check(network: Network) -> None:
  """Without the small networks, which are good, and would take most of the time."""
  if network.recipe.optimizer != _MODEL["optimizer"]:
    _check_of_all(network)


def check(config: Mapping[str, Any]) -> None:
  """What the command does before it trains.

  Raises:
    Refused: where a file is not there.
  """
  try:
    with own_terms(), mock.patch.object(Network, "check", _check):
      Plan(config, folder=EXPERIMENTS)
  except FileNotFoundError as error:
    raise Refused(str(error)) from None
