"""Files that appear whole or not at all, that show damage, and whose names are safe everywhere."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import math
import numbers
import os
import re
import secrets
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Bytes of a text or a table; none of ours comes near it, and more is not taken into memory.
LARGEST_TEXT = 2**28


class DamagedFileError(ValueError):
  """A file whose content is not what was written."""


def write_bytes(path: Path, content: bytes) -> Path:
  """Writes a file by way of a temporary neighbour, so that no reader ever sees half of it.

  Args:
    path: where the file goes; missing folders are made. A link in its place is replaced, not
      followed.
    content: the whole file.

  Returns:
    `path`.

  Raises:
    OSError: if it cannot be written, with its path; what was there before stays.
  """
  return _write(path, (content,))


def _write(path: Path, parts: Iterable[bytes]) -> Path:
  """Writes a file from its parts, one after the other, by way of a temporary neighbour."""
  with naming_the_file(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    # Exclusively: nothing that has this name already is written to.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
      with os.fdopen(descriptor, "wb") as file:
        for part in parts:
          file.write(part)
      os.replace(temporary, path)
    except BaseException:
      with contextlib.suppress(FileNotFoundError):  # a signal may come when it has its name already
        os.unlink(temporary)
      raise
  return path


@contextlib.contextmanager
def naming_the_file(path: Path) -> Iterator[None]:
  """Gives an error of the system the path that it lacks: a full disk has none when it is found out.

  >>> with naming_the_file(Path("report.html")):
  ...   raise OSError(errno.EFBIG, "File too large")
  Traceback (most recent call last):
  OSError: [Errno 27] File too large: 'report.html'
  """
  try:
    yield
  except OSError as error:
    if error.errno is None or error.filename is not None:
      raise
    raise OSError(error.errno, error.strerror, str(path)) from error


def write_with_digest(path: Path, content: bytes) -> Path:
  """`write_bytes`, and the SHA-256 beside it in the form that `sha256sum --check` reads."""
  line, beside = f"{digest(content)}  {path.name}\n".encode(), _digest_path(path)
  try:
    known = read_bytes(beside)
  except (FileNotFoundError, DamagedFileError):
    known = b""
  # Both are right until the content is replaced, so that a kill leaves a file that verifies.
  write_bytes(beside, known + line)
  write_bytes(path, content)
  write_bytes(beside, line)
  return path


def write_parts_with_digest(path: Path, parts: Iterable[bytes]) -> str:
  """`write_with_digest` for a content that need not be in memory as a whole.

  Args:
    path: where the file goes. An older file of this name counts as damaged in the meantime.
    parts: what it holds, one after the other.

  Returns:
    Its digest.
  """
  found = hashlib.sha256()

  def hashed() -> Iterator[bytes]:
    for part in parts:
      found.update(part)
      yield part

  _write(path, hashed())
  write_bytes(_digest_path(path), f"{found.hexdigest()}  {path.name}\n".encode())
  return found.hexdigest()


def verified_digest(path: Path) -> str:
  """The SHA-256 of a file that is what was written with it; it is never in memory as a whole.

  Raises:
    DamagedFileError: if it is missing, has no digest, or is not what was written.
  """
  with _verified(path, None) as (_, found):
    return found


def read_bytes(path: Path, *, most: int = LARGEST_TEXT) -> bytes:
  """The content of a file, unless something else has its name.

  Args:
    path: where it is.
    most: more bytes are not taken into memory.

  Raises:
    FileNotFoundError: if it is missing.
    DamagedFileError: if it is a link, a pipe or a device, or larger.
  """
  with _regular(path, most) as file:
    return file.read()


def read_verified(path: Path, *, most: int | None = None) -> bytes:
  """The content of a file written by `write_with_digest`.

  Args:
    path: where it is.
    most: more bytes are refused; None for as many as there are, once their digest is right.

  Raises:
    DamagedFileError: if it is missing, has no digest, or is not what was written.
  """
  with _verified(path, most) as (file, _):
    return file.read()


def digest_of_array(array: np.ndarray) -> str:
  """An array's dtype and shape, and the SHA-256 of its bytes."""
  return f"{array.dtype} {array.shape} {digest(np.ascontiguousarray(array).tobytes())}"


def digest_of_file(path: Path) -> str:
  """SHA-256 of a file's content, in hexadecimal; it is never in memory as a whole.

  Raises:
    FileNotFoundError: if it is missing.
    DamagedFileError: if it is a link, a pipe or a device.
  """
  with _regular(path, None) as file:
    return hashlib.file_digest(file, "sha256").hexdigest()


def digest(content: bytes) -> str:
  """SHA-256, in hexadecimal."""
  return hashlib.sha256(content).hexdigest()


def npz(arrays: Mapping[str, np.ndarray], *, small: bool = False) -> bytes:
  """A compressed NumPy archive; equal arrays give equal bytes, and nothing is pickled.

  Args:
    arrays: name -> array, not of Python objects.
    small: by LZMA, which takes a fifth of the bytes away, ten times as long, and is read alike.

  >>> npz({"a": np.arange(3)}) == npz({"a": np.arange(3)})
  True
  """
  for name, array in arrays.items():
    if np.asarray(array).dtype == object:
      raise TypeError(f"array {name!r} must hold numbers or text, got Python objects")
  buffer = io.BytesIO()
  if not small:
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
  with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
    for name, array in arrays.items():
      member = io.BytesIO()
      np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
      # A date of its own would make other bytes of equal arrays.
      entry = zipfile.ZipInfo(f"{name}.npy")
      archive.writestr(entry, member.getvalue(), zipfile.ZIP_LZMA)
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

  Raises:
    TypeError: for a cell that is neither text, a number nor None, whose text would say nothing.

  >>> print(csv_text(["model", "accuracy"], [["a, b", 0.5]]), end="")
  model,accuracy
  "a, b",0.5
  """
  buffer = io.StringIO()
  writer = csv.writer(buffer, lineterminator="\n")
  writer.writerow([_as_text(name) for name in header])
  writer.writerows([_as_text(cell) for cell in row] for row in rows)
  return buffer.getvalue()


_FORMULA = ("=", "+", "-", "@")


def _as_text(cell: Any) -> Any:
  """Text that a spreadsheet would take for a formula begins with an apostrophe."""
  if not isinstance(cell, (str, numbers.Number, np.generic, type(None))):
    raise TypeError(f"cells must be text or numbers, got {type(cell).__name__} {cell!r:.60}")
  return f"'{cell}" if isinstance(cell, str) and cell.lstrip().startswith(_FORMULA) else cell


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


@contextlib.contextmanager
def _verified(path: Path, most: int | None) -> Iterator[tuple[io.BufferedReader, str]]:
  """An open file whose content has the digest beside it, and that digest."""
  try:
    expected = read_bytes(_digest_path(path)).decode()
    with _regular(path, most) as file:
      # Read twice, so that nothing large that is not ours is taken into memory.
      found = hashlib.file_digest(file, "sha256").hexdigest()
      if found not in {line.split(" ")[0] for line in expected.splitlines()}:
        raise DamagedFileError(f"{path} is damaged: its SHA-256 is not the one that was written")
      file.seek(0)
      yield file, found
  except FileNotFoundError as error:
    raise DamagedFileError(f"{path} cannot be trusted: {error}") from None
  except UnicodeDecodeError:
    raise DamagedFileError(f"{path} cannot be trusted: its .sha256 holds no digest") from None


@contextlib.contextmanager
def _regular(path: Path, most: int | None) -> Iterator[io.BufferedReader]:
  """An open file that is one, of at most so many bytes."""
  try:
    # A link may lead anywhere, and a pipe would wait for whoever writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
  except OSError as error:
    if error.errno in (errno.ELOOP, errno.ENXIO):
      raise DamagedFileError(f"{path} is no file but a link or a socket") from None
    raise
  status = os.fstat(descriptor)
  regular = stat.S_ISREG(status.st_mode)
  if not regular or (most is not None and status.st_size > most):
    os.close(descriptor)
    larger = f"has {status.st_size} bytes, more than the {most} that it may have"
    raise DamagedFileError(f"{path} {larger if regular else 'is no file but a pipe or a folder'}")
  with os.fdopen(descriptor, "rb") as file:
    yield file


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
