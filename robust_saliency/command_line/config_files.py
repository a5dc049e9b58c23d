"""The config that --config names, and which of its fields flags may set."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict, FieldReference

from robust_saliency.command_line.shipped import find_config, not_found
from robust_saliency.command_line.stopping import one_line, stop


def load_config(path_and_words: str) -> ConfigDict:
  """The config that `FILE` or `FILE:WORDS` gives; FILE may be a shipped experiment's name.

  Ends the program with one sentence if the file is missing, fails, or refuses its words.
  """
  path, _, words = path_and_words.partition(":")
  found = find_config(path)
  if found is None:
    stop(not_found(path))
  try:
    module = _execute(found)
    if not callable(getattr(module, "get_config", None)):
      stop(f"--config file {path} has no function get_config")
    config = module.get_config(words) if words else module.get_config()
  except Exception as error:  # the file is the user's, and may raise anything
    stop(f"--config={path_and_words} fails with {type(error).__name__}: {one_line(error)}")
  if not isinstance(config, ConfigDict):
    stop(f"get_config of {path} must return a ConfigDict, got {type(config).__name__}")
  return config


def _execute(path: Path) -> ModuleType:
  specification = importlib.util.spec_from_file_location("experiment_config", path)
  assert specification is not None
  assert specification.loader is not None
  module = importlib.util.module_from_spec(specification)
  specification.loader.exec_module(module)
  return module


def admit(config: ConfigDict, field: str) -> None:
  """Makes a field that a flag sets one of the config's; stops for one that it cannot have.

  The schema says which fields those are that the config leaves at their defaults, and of what type.
  """
  # They import JAX, which a command line without such flags need not wait for.
  from robust_saliency.core import checks
  from robust_saliency.pipeline import schema

  node, path = config, list[str]()
  for part in field.split("."):
    name, bracket, index = part.partition("[")
    allowed = schema.fields_at(config, path) if hasattr(node, "keys") else {}
    if len(path) == field.count(".") and name in allowed:
      _declare(node, name, schema.flag_type(allowed[name]))
    elif not hasattr(node, "keys") or name not in node:
      known = list(dict.fromkeys([*allowed, *_keys(node)]))
      has = f"it has {', '.join(known)}" if known else "it has no fields"
      where = ".".join(["config", *path])
      stop(f"{where} has no field {name!r}{checks.did_you_mean(name, known)}; {has}")
    node = node[name]
    path.append(name)
    if bracket:
      where = ".".join(["config", *path])
      try:
        entry = node[ast.literal_eval(index.rstrip("]"))]
      except (LookupError, ValueError, SyntaxError, TypeError):
        stop(f"{where} has no entry [{index}")
      if isinstance(node, tuple):
        stop(f"{where} has no entries that can be set one by one; give them all, as in (1, 2)")
      node = entry


def _keys(node: Any) -> Iterator[str]:
  return iter(node.keys() if hasattr(node, "keys") else ())


def _declare(node: ConfigDict, name: str, kind: type) -> None:
  """Lets a flag set a field that has no value yet, None, or one of a narrower type."""
  value = node.get(name)
  if kind is float and type(value) is int:
    value = float(value)
  if value is None or (isinstance(value, kind) and kind is not object):
    with node.unlocked(), node.ignore_type():
      node[name] = FieldReference(value, field_type=kind)
