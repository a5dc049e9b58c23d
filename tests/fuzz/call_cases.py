"""Calls of the public functions, each with one argument that is nonsense."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax

from tests.fuzz import nonsense
from tests.fuzz.call_arguments import FOLDERS, GIVEN, KINDS, NOT_USED, TABLES
from tests.fuzz.cases import Case, brief

# What a sentence may say instead of an argument's name: a config's word for it.
_ALSO = {"terms": ("objective",), "settings": ("attack", "attribution")}


@functools.cache
def cases() -> Sequence[Case]:
  """Function x argument x nonsense."""
  return [
    _case(folder, name, argument, value)
    for folder, functions in GIVEN.items()
    for name in functions
    for argument, parameter in arguments_of(folder, name).items()
    for _, value in nonsense_for(name, argument, parameter)
  ]


def arguments_of(folder: str, name: str) -> dict[str, inspect.Parameter]:
  """The arguments of a public function that are looked at."""
  parameters = inspect.signature(getattr(FOLDERS[folder], name)).parameters
  return {
    argument: parameter
    for argument, parameter in parameters.items()
    if (name, argument) not in NOT_USED
  }


def nonsense_for(name: str, argument: str, parameter: inspect.Parameter) -> list[tuple[str, Any]]:
  """What an argument cannot be."""
  kind, *but = KINDS.get(f"{name}.{argument}") or KINDS[argument]
  if parameter.default is None:
    but.append("none")
  return nonsense.of(kind, *but)


def _case(folder: str, name: str, argument: str, value: Any) -> Case:
  function = getattr(FOLDERS[folder], name)
  what = f"{folder}.{name}({argument}={brief(value)})"
  names = (argument, *_ALSO.get(argument, ()))
  return Case(what, names, lambda: call(function, GIVEN[folder][name] | {argument: value}))


def call(function: Callable[..., Any], given: dict[str, Any]) -> Any:
  """The function's result; tables of names are afterwards as they were before."""
  positional, keywords = [], dict(given)
  for argument, parameter in inspect.signature(function).parameters.items():
    if parameter.kind is not parameter.KEYWORD_ONLY and argument in keywords:
      positional.append(keywords.pop(argument))
  before = [dict(table) for table in TABLES]
  try:
    return jax.block_until_ready(function(*positional, **keywords))
  finally:
    for table, members in zip(TABLES, before, strict=True):
      for added in set(table) - set(members):
        del table[added]
