"""Attacks and attributions as a command line names them: NAME:SETTING=VALUE:...,NAME,..."""

import ast
from collections.abc import Collection
from typing import Any

from robust_saliency.core import checks

_CLOSING = {"(": ")", "[": "]", "{": "}"}


def split(text: str) -> list[str]:
  """The methods of a list between commas; commas within brackets or quotation marks do not count.

  >>> split("fgsm, pgd:bounds=(0,1):steps=3")
  ['fgsm', 'pgd:bounds=(0,1):steps=3']
  >>> split("")
  []
  """
  return [one.strip() for one in _outside_brackets(text, ",")] if text.strip() else []


def parse(text: str, known: Collection[str], *, what: str) -> dict[str, Any]:
  """The settings of a method as a config has them.

  Args:
    text: NAME, or NAME:SETTING=VALUE:...; a value is what Python reads it as, else text.
    known: the names that there are.
    what: what is named, for errors ("attack").

  Raises:
    ValueError: for an unknown name, or settings that cannot be read.

  >>> parse("pgd:steps=100:loss=dlr:bounds=(0, 1)", ["pgd"], what="attack")
  {'name': 'pgd', 'steps': 100, 'loss': 'dlr', 'bounds': (0, 1)}
  """
  name, *settings = _outside_brackets(text, ":")
  checks.one_of(name, known, argument=f"{what}s")
  read: dict[str, Any] = {"name": name}
  for setting in settings:
    field, equals, value = setting.partition("=")
    if not equals:
      raise ValueError(
        f"{what} {checks.shown(text)} must be NAME:SETTING=VALUE:..., got {checks.shown(setting)}"
      )
    if field in read:
      raise ValueError(f"{what} {checks.shown(text)} must have {field} once, got {value} too")
    try:
      read[field] = ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
      read[field] = value
  return read


def _outside_brackets(text: str, separator: str) -> list[str]:
  """The parts between separators that stand in no brackets and no quotation marks."""
  parts, closing = [""], list[str]()
  for character in text:
    if closing and character == closing[-1]:
      closing.pop()
    elif closing and closing[-1] in "'\"":
      pass
    elif character in "'\"":
      closing.append(character)
    elif character in _CLOSING:
      closing.append(_CLOSING[character])
    if character == separator and not closing:
      parts.append("")
    else:
      parts[-1] += character
  return parts
