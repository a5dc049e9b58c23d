"""What was written with a digest, read again: JSON objects with their fields, and arrays.

A digest shows what has changed since, not who wrote it: a folder may be somebody else's, or an
older version's, and hold anything with a digest that is right.
"""

import contextlib
import io
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Union

import numpy as np

from robust_saliency.core import files
from robust_saliency.core.files import DamagedFileError

# What a field may be -> what errors call it.
TEXT, NUMBER, COUNT, FIELDS, LIST = (
  "text",
  "a number >= 0",
  "a whole number >= 0",
  "fields",
  "a list",
)
ANYTHING = "anything"
MEASURED = "a number or null"
VALUE = "text, a number, true, false or null"


class Each(NamedTuple):
  """A list, or fields of any names, each of whose values is of one form."""

  kind: str
  of: "Form"


# A kind, fields by name, or many of one form.
Form = Union[str, Mapping[str, "Form"], Each]  # noqa: UP007

# Bytes that the arrays of one archive may take in memory.
_LARGEST_ARRAYS = 2**32
# What is raised where a value is not what it was taken for.
_MISTAKEN = (
  ArithmeticError,
  AssertionError,
  AttributeError,
  LookupError,
  RecursionError,
  TypeError,
  ValueError,
)


def read_record(path: Path, fields: Mapping[str, Form] | None = None) -> dict[str, Any]:
  """The JSON object in a file that was written by `files.write_with_digest`.

  Args:
    path: where it is.
    fields: what it must have at least -> of which form, see `check_fields`.

  Raises:
    DamagedFileError: naming the file, if it is missing, is not what was written, is no JSON object,
      or lacks a field.
  """
  content = files.read_verified(path, most=files.LARGEST_TEXT)
  return check_fields(parse(content, path), fields or {}, path)


def parse(content: bytes, path: Path) -> dict[str, Any]:
  """The JSON object that a file's content is.

  Raises:
    DamagedFileError: naming the file.

  >>> parse(b"[]", Path("stage.json"))
  Traceback (most recent call last):
  robust_saliency.core.files.DamagedFileError: stage.json must hold fields in JSON, got a list
  """
  try:
    value = json.loads(content)
  except (ValueError, RecursionError):
    raise DamagedFileError(f"{path} must hold fields in JSON, and cannot be read as such") from None
  if not isinstance(value, dict):
    kind = {list: "a list", str: "text", type(None): "null"}.get(type(value), "a number")
    raise DamagedFileError(f"{path} must hold fields in JSON, got {kind}")
  return value


def check_fields(
  record: dict[str, Any], fields: Mapping[str, Form], path: Path | str
) -> dict[str, Any]:
  """The record itself, if it has these fields.

  Args:
    record: a JSON object.
    fields: what it must have -> `TEXT`, `NUMBER`, `COUNT`, `FIELDS`, `LIST`, `MEASURED`, `VALUE` or
      `ANYTHING`; the fields that it must have in turn; or `Each`.
    path: its file, for the sentence.

  Raises:
    DamagedFileError: for a field that is missing or of another kind.

  >>> check_fields({"seconds": -1}, {"seconds": NUMBER}, "stage.json")
  Traceback (most recent call last):
  robust_saliency.core.files.DamagedFileError: stage.json: seconds must be a number >= 0
  >>> check_fields({"axes": {"a": [0]}}, {"axes": Each(FIELDS, Each(LIST, TEXT))}, "result.json")
  Traceback (most recent call last):
  robust_saliency.core.files.DamagedFileError: result.json: axes.a.0 must be text
  """
  for name, form in fields.items():
    if name not in record:
      raise DamagedFileError(f"{path} needs the field {name!r}, which is missing")
    _check(record[name], form, name, path)
  return record


@contextlib.contextmanager
def understanding(what: str) -> Iterator[None]:
  """Makes one sentence of whatever strange values in a file lead to.

  Args:
    what: the beginning of the sentence, with the file: "result.json cannot be drawn".

  Raises:
    DamagedFileError: for what a value raises that is not what it was taken for; a sentence about a
      file that is damaged stays as it is.

  >>> with understanding("result.json cannot be drawn"):
  ...   {}["attack"]
  Traceback (most recent call last):
  robust_saliency.core.files.DamagedFileError: result.json cannot be drawn: KeyError of 'attack'
  """
  try:
    yield
  except DamagedFileError:
    raise
  except _MISTAKEN as error:
    said = " ".join(str(error).split())[:200]
    # A ValueError is mostly a sentence of ours; the others name a value at best.
    kind = "" if isinstance(error, ValueError) else f"{type(error).__name__} of "
    raise DamagedFileError(f"{what}: {kind}{said}") from error


def arrays_in(content: bytes, path: Path) -> dict[str, np.ndarray]:
  """The arrays in a NumPy archive; Python objects are never loaded.

  Args:
    content: the archive.
    path: where it was, for the sentence.

  Raises:
    DamagedFileError: naming the file, if it holds what is no array of numbers or text.
  """
  try:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
      if sum(one.file_size for one in archive.zip.infolist()) <= _LARGEST_ARRAYS:
        return dict(archive)
  # Whatever zipfile, zlib and NumPy say of bytes that they cannot read.
  except Exception:
    raise DamagedFileError(
      f"{path} must be a NumPy archive of numbers or text, and cannot be read as such"
    ) from None
  raise DamagedFileError(f"{path} must hold at most {_LARGEST_ARRAYS} bytes of arrays, got more")


def _check(value: Any, form: Form, name: str, path: Path | str) -> None:
  kind = form if isinstance(form, str) else form.kind if isinstance(form, Each) else FIELDS
  if not _is(value, kind):
    raise DamagedFileError(f"{path}: {name} must be {kind}")
  if isinstance(form, Each):
    for key, one in value.items() if kind == FIELDS else enumerate(value):
      _check(one, form.of, f"{name}.{str(key)[:60]}", path)
  elif isinstance(form, Mapping):
    for field, of in form.items():
      if field not in value:
        raise DamagedFileError(f"{path}: {name} needs the field {field!r}, which is missing")
      _check(value[field], of, f"{name}.{field}", path)


def _is(value: Any, kind: str) -> bool:
  if kind in (NUMBER, COUNT):
    number = isinstance(value, int if kind == COUNT else (int, float))
    return number and not isinstance(value, bool) and 0 <= value <= _LARGEST_NUMBER
  if kind in (MEASURED, VALUE):
    number = isinstance(value, (int, float)) and -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER
    if kind == MEASURED:
      return value is None or (number and not isinstance(value, bool))
    return value is None or number or isinstance(value, str)
  python = {TEXT: str, FIELDS: dict, LIST: list, ANYTHING: object}[kind]
  return isinstance(value, python)


# JSON has whole numbers that no float can hold.
_LARGEST_NUMBER = sys.float_info.max
