"""What was written with a digest, read again: JSON objects with their fields, and arrays.

A digest shows what has changed since, not who wrote it: a folder may be somebody else's, or an
older version's, and hold anything with a digest that is right.
"""

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def read_record(path: Path, fields: Mapping[str, str] | None = None) -> dict[str, Any]:
  """The JSON object in a file that was written by `files.write_with_digest`.

  Args:
    path: where it is.
    fields: what it must have at least -> of which kind, see `check_fields`.

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
  record: dict[str, Any], fields: Mapping[str, str], path: Path | str
) -> dict[str, Any]:
  """The record itself, if it has these fields.

  Args:
    record: a JSON object.
    fields: what it must have -> `TEXT`, `NUMBER`, `COUNT`, `FIELDS`, `LIST` or `ANYTHING`.
    path: its file, for the sentence.

  Raises:
    DamagedFileError: for a field that is missing or of another kind.

  >>> check_fields({"seconds": -1}, {"seconds": NUMBER}, "stage.json")
  Traceback (most recent call last):
  robust_saliency.core.files.DamagedFileError: stage.json: seconds must be a number >= 0
  """
  for name, kind in fields.items():
    if name not in record:
      raise DamagedFileError(f"{path} needs the field {name!r}, which is missing")
    if not _is(record[name], kind):
      raise DamagedFileError(f"{path}: {name} must be {kind}")
  return record


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
      return dict(archive)
  # Whatever zipfile, zlib and NumPy say of bytes that they cannot read.
  except Exception:
    raise DamagedFileError(
      f"{path} must be a NumPy archive of numbers or text, and cannot be read as such"
    ) from None


def _is(value: Any, kind: str) -> bool:
  if kind in (NUMBER, COUNT):
    number = isinstance(value, int if kind == COUNT else (int, float))
    return number and not isinstance(value, bool) and math.isfinite(value) and value >= 0
  python = {TEXT: str, FIELDS: dict, LIST: list, ANYTHING: object}[kind]
  return isinstance(value, python)
