"""Files that appear whole or not at all, under names that are safe everywhere."""

import csv
import io
import json
import math
import os
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write_bytes(path: Path, content: bytes) -> Path:
  """Writes a file by way of a temporary neighbour, so that no reader ever sees half of it.

  Args:
    path: where the file goes; missing folders are made.
    content: the whole file.

  Returns:
    `path`.
  """
  path.parent.mkdir(parents=True, exist_ok=True)
  descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
  try:
    with os.fdopen(descriptor, "wb") as file:
      file.write(content)
    os.chmod(temporary, 0o644)  # mkstemp gives 0o600; a report is there to be read
    os.replace(temporary, path)
  except BaseException:
    os.unlink(temporary)
    raise
  return path


def npz(arrays: dict[str, np.ndarray]) -> bytes:
  """A compressed NumPy archive; equal arrays give equal bytes, and nothing is pickled.

  >>> npz({"a": np.arange(3)}) == npz({"a": np.arange(3)})
  True
  """
  for name, array in arrays.items():
    if np.asarray(array).dtype == object:
      raise TypeError(f"array {name!r} must hold numbers or text, got Python objects")
  buffer = io.BytesIO()
  np.savez_compressed(buffer, allow_pickle=False, **arrays)
  return buffer.getvalue()


def json_text(value: Any) -> str:
  """Indented JSON that every reader accepts: numbers that are not finite become null.

  >>> print(json_text({"seeds": np.arange(2), "low": float("nan")}))
  {
    "seeds": [
      0,
      1
    ],
    "low": null
  }
  """
  return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
  """Comma-separated values; floats carry the digits that give the same float back.

  >>> print(csv_text(["model", "accuracy"], [["a, b", 0.5]]), end="")
  model,accuracy
  "a, b",0.5
  """
  buffer = io.StringIO()
  writer = csv.writer(buffer, lineterminator="\n")
  writer.writerow(header)
  writer.writerows(rows)
  return buffer.getvalue()


def slug(name: str) -> str:
  """A file name's stem for any text: small letters, digits and hyphens, at most 60 of them.

  >>> slug("../PGD & <b>FGSM</b>, ε = 8/255")
  'pgd-b-fgsm-b-8-255'
  """
  return re.sub(r"[^a-z0-9]+", "-", name.lower())[:60].strip("-") or "unnamed"


def unique_slugs(names: Iterable[str]) -> list[str]:
  """One slug per name, in order; where two would be equal the later one gets a number.

  >>> unique_slugs(["a b", "a-b", "c"])
  ['a-b', 'a-b-2', 'c']
  """
  slugs: list[str] = []
  for name in names:
    stem, suffix = slug(name), 1
    candidate = stem
    while candidate in slugs:
      suffix += 1
      candidate = f"{stem}-{suffix}"
    slugs.append(candidate)
  return slugs


def _plain(value: Any) -> Any:
  if isinstance(value, dict):
    return {str(key): _plain(item) for key, item in value.items()}
  if isinstance(value, np.ndarray):
    return _plain(value.tolist())
  if isinstance(value, (list, tuple)):
    return [_plain(item) for item in value]
  if isinstance(value, np.generic):
    return _plain(value.item())
  if isinstance(value, float) and not math.isfinite(value):
    return None
  if value is None or isinstance(value, (bool, int, float, str)):
    return value
  return str(value)
