"""Settings: what a config says, read once into frozen dataclasses, each mistake in one sentence.

A dataclass is the schema: its annotations are the types and the ranges, its defaults the defaults,
and a field without one is required. Nothing else picks values out of a config.
"""

import dataclasses
import math
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, Union

import numpy as np

from robust_saliency.core import checks
from robust_saliency.core.checks import shown

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Range:
  """The numbers that a field may have, `low` to `high`; without `low` itself if `above`."""

  low: float = -math.inf
  high: float = math.inf
  above: bool = False

  def __contains__(self, number: float) -> bool:
    return (number > self.low if self.above else number >= self.low) and number <= self.high

  def __str__(self) -> str:
    if math.isfinite(self.low) and math.isfinite(self.high):
      return f"between {self.low:g} and {self.high:g}"
    if math.isfinite(self.high):
      return f"<= {self.high:g}"
    return f"{'>' if self.above else '>='} {self.low:g}"


@dataclasses.dataclass(frozen=True)
class Distinct:
  """Lists and mappings with at least one entry, all of them different."""


Count = Annotated[int, Range(1, 2**31 - 1)]
CountOrZero = Annotated[int, Range(0, 2**31 - 1)]
Seed = Annotated[int, Range(0, 2**32 - 1)]
NonNegative = Annotated[float, Range(0)]
Positive = Annotated[float, Range(0, above=True)]
Fraction = Annotated[float, Range(0, 1)]
Radii = Annotated[tuple[NonNegative, ...], Distinct()]
Seeds = Annotated[tuple[Seed, ...], Distinct()]
Names = Annotated[tuple[str, ...], Distinct()]


def read(kind: Any, value: Any, where: str) -> Any:
  """A part of a config as what it is meant to be.

  Args:
    kind: a dataclass, or an annotation as its fields have them: bool, int, float, str, `Any` for
      plain data, `Literal["a", "b"]`, `tuple[X, ...]`, `Sequence[X]`, `Mapping[str, X]`,
      `X | None`, and `Annotated[int, Range(1)]`.
    value: what the config holds: numbers, strings, lists and dicts.
    where: the field's path, for errors ("studies.robustness").

  Returns:
    The value: dataclasses for mappings of fields, tuples for lists, floats for whole numbers where
    a float is meant.

  Raises:
    ValueError, TypeError: with the field's path, what was given and what is allowed; for an
      unknown field with the nearest that exists.

  >>> @dataclasses.dataclass(frozen=True)
  ... class Attack:
  ...   epsilon: NonNegative
  ...   steps: Count = 10
  >>> read(Attack, {"epsilon": 1}, "attack")
  Attack(epsilon=1.0, steps=10)
  >>> read(Attack, {"epsilon": -0.1}, "attack")
  Traceback (most recent call last):
  ValueError: attack.epsilon must be a number >= 0, got -0.1
  """
  origin, arguments = typing.get_origin(kind), typing.get_args(kind)
  if origin is Annotated:
    rule, result = arguments[1], read(arguments[0], value, where)
    return (_in_range if isinstance(rule, Range) else _distinct)(result, rule, value, where)
  if origin in (Union, types.UnionType):
    if value is None and type(None) in arguments:
      return None
    return read(next(one for one in arguments if one is not type(None)), value, where)
  if origin is Literal:
    if not isinstance(value, str):
      raise TypeError(f"{where} must be one of {', '.join(arguments)}; got {shown(value)}")
    checks.one_of(value, arguments, argument=where)
    return value
  if origin is tuple:
    return _items(arguments, value, where)
  if origin is Sequence:
    return _items((*arguments, Ellipsis), value, where)
  if origin is not None and issubclass(origin, Mapping):
    _check_mapping(value, where)
    return {name: read(arguments[1], one, f"{where}.{name}") for name, one in value.items()}
  if dataclasses.is_dataclass(kind):
    return _record(typing.cast(type, kind), value, where)
  return _plain(value, where) if kind is Any else _scalar(kind, value, where)


def is_readable(kind: Any) -> bool:
  """Whether `read` knows what an annotation of somebody else's is.

  >>> is_readable(int | None), is_readable(Sequence[int]), is_readable(np.ndarray)
  (True, True, False)
  """
  if kind in (bool, int, float, str, type(None)):
    return True
  if typing.get_origin(kind) in (Union, types.UnionType, tuple, Sequence):
    parts = [one for one in typing.get_args(kind) if one is not Ellipsis]
    single = typing.get_origin(kind) in (tuple, Sequence) or len(set(parts) - {type(None)}) == 1
    return bool(parts) and single and all(map(is_readable, parts))
  return False


def plain(settings: Any) -> Any:
  """Settings as JSON would hold them, defaults filled in: the opposite of `read`.

  >>> plain(Range(0, 1))
  {'low': 0, 'high': 1, 'above': False}
  """
  if dataclasses.is_dataclass(settings) and not isinstance(settings, type):
    return {
      field.name: plain(getattr(settings, field.name)) for field in dataclasses.fields(settings)
    }
  if isinstance(settings, Mapping):
    return {name: plain(value) for name, value in settings.items()}
  if isinstance(settings, (tuple, list)):
    return [plain(value) for value in settings]
  return settings


def _record(kind: type[T], value: Any, where: str) -> T:
  _check_mapping(value, where)
  hints = typing.get_type_hints(kind, include_extras=True)
  fields = [field for field in dataclasses.fields(kind) if field.init]  # type: ignore[arg-type]
  for name in value:
    checks.one_of(name, [field.name for field in fields], argument=f"field of {where}")
  for field in fields:
    required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    if required and field.name not in value:
      raise ValueError(
        f"{where} needs the field {field.name!r}, got {', '.join(value) or 'no fields'}"
      )
  return kind(**{name: read(hints[name], one, f"{where}.{name}") for name, one in value.items()})


def _items(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
  if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
    raise TypeError(f"{where} must be a list, got {shown(value)}")
  if len(kinds) == 2 and kinds[1] is Ellipsis:
    return tuple(read(kinds[0], one, f"{where}[{i}]") for i, one in enumerate(value))
  if len(value) != len(kinds):
    raise ValueError(f"{where} must have {len(kinds)} entries, got {shown(value)}")
  pairs = zip(kinds, value, strict=True)
  return tuple(read(kind, one, f"{where}[{i}]") for i, (kind, one) in enumerate(pairs))


def _check_mapping(value: Any, where: str) -> None:
  if not isinstance(value, Mapping):
    raise TypeError(f"{where} must be fields with values, got {shown(value)}")
  for name in value:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
      raise ValueError(f"{where} must have printable names, got {shown(name)}")


def _scalar(kind: type, value: Any, where: str) -> Any:
  if kind is bool:
    if not isinstance(value, (bool, np.bool_)):
      raise TypeError(f"{where} must be True or False, got {shown(value)}")
    return bool(value)
  if kind is str:
    checks.text(**{where: value})
    return value
  number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
  if kind is int:
    if not number or not isinstance(value, (int, np.integer)):
      raise TypeError(f"{where} must be a whole number, got {shown(value)}")
    return int(value)
  if kind is float:
    if not number:
      raise TypeError(f"{where} must be a number, got {shown(value)}")
    value = value.item() if isinstance(value, np.generic) else value
    _check_finite(value, where)
    return float(value)
  raise TypeError(f"{where} has a type that no config can hold, {kind!r}")


def _check_finite(value: int | float, where: str) -> None:
  # Compared as Python numbers, since whole ones may be larger than any float.
  if not abs(value) <= sys.float_info.max:
    raise ValueError(f"{where} must be a finite number, got {shown(value)}")


def _in_range(read_value: Any, allowed: Range, given: Any, where: str) -> Any:
  if read_value not in allowed:
    number = "a whole number" if isinstance(read_value, int) else "a number"
    raise ValueError(f"{where} must be {number} {allowed}, got {shown(given)}")
  return read_value


def _distinct(result: Any, rule: Distinct, given: Any, where: str) -> Any:
  if not result:
    raise ValueError(f"{where} must have at least one entry, got none")
  if len(set(result)) < len(result):
    raise ValueError(f"{where} must have entries that differ, got {shown(given)}")
  return result


def _plain(value: Any, where: str) -> Any:
  if isinstance(value, Mapping):
    _check_mapping(value, where)
    return {name: _plain(one, f"{where}.{name}") for name, one in value.items()}
  if isinstance(value, (list, tuple)):
    return tuple(_plain(one, f"{where}[{i}]") for i, one in enumerate(value))
  value = value.item() if isinstance(value, np.generic) else value
  if isinstance(value, (int, float)):
    # Neither NaN nor infinity can be kept as JSON, and whole numbers may have thousands of digits.
    _check_finite(value, where)
    return value
  if value is None or isinstance(value, str):
    return value
  raise TypeError(f"{where} must hold numbers, text, lists and fields, got {shown(value)}")
