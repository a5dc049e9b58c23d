"""Files that appear whole or not at all, that show damage, and whose names are safe everywhere."""

import contextlib
import csv
import fcntl
import hashlib
import io
import json
import math
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    os.chmod(temporary, 0o666 & ~_umask())  # mkstemp gives 0o600 whatever the user wants
    os.replace(temporary, path)
  except BaseException:
    with contextlib.suppress(FileNotFoundError):  # a signal may come when it has its name already
      os.unlink(temporary)
    raise
  return path


def remove_tree(directory: Path) -> None:
  """Deletes a folder with all that is in it, if it is there."""
  if directory.is_dir() and not directory.is_symlink():
    shutil.rmtree(directory)


def _umask() -> int:
  # It can only be read by setting it.
  umask = os.umask(0o077)
  os.umask(umask)
  return umask


class DamagedFileError(ValueError):
  """A file whose content is not what was written."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
  """Holds a lock file; the system gives it back when the process ends, even by a kill.

  Args:
    path: the lock file, which stays; it holds the number of the process that had it last.

  Raises:
    BlockingIOError: if another process holds it, with its number.
  """
  # A folder of somebody else's may have a link in its place.
  with open(path, "a+", opener=lambda name, how: os.open(name, how | os.O_NOFOLLOW, 0o644)) as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      file.seek(0)
      raise BlockingIOError(f"process {file.read().strip() or '?'} is using it") from None
    file.truncate(0)
    file.write(f"{os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    yield


def write_with_digest(path: Path, content: bytes) -> Path:
  """`write_bytes`, and the SHA-256 beside it in the form that `sha256sum --check` reads."""
  line, beside = f"{digest(content)}  {path.name}\n".encode(), _digest_path(path)
  known = beside.read_bytes() if beside.is_file() else b""
  # Both are right until the content is replaced, so that a kill leaves a file that verifies.
  write_bytes(beside, known + line)
  write_bytes(path, content)
  write_bytes(beside, line)
  return path


def read_verified(path: Path) -> bytes:
  """The content of a file written by `write_with_digest`.

  Raises:
    DamagedFileError: if it is missing, has no digest, or is not what was written.
  """
  try:
    content, expected = path.read_bytes(), _digest_path(path).read_text()
  except (FileNotFoundError, UnicodeDecodeError) as error:
    raise DamagedFileError(f"{path} cannot be trusted: {error}") from None
  if digest(content) not in {line.split(" ")[0] for line in expected.splitlines()}:
    raise DamagedFileError(f"{path} is damaged: its SHA-256 is not the one that was written")
  return content


def digest(content: bytes) -> str:
  """SHA-256, in hexadecimal."""
  return hashlib.sha256(content).hexdigest()


def npz(arrays: Mapping[str, np.ndarray]) -> bytes:
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
  writer.writerows([_as_text(cell) for cell in row] for row in rows)
  return buffer.getvalue()


def _as_text(cell: Any) -> Any:
  """Text that a spreadsheet would take for a formula begins with an apostrophe."""
  return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@")) else cell


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


def _digest_path(path: Path) -> Path:
  return path.with_name(f"{path.name}.sha256")


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
