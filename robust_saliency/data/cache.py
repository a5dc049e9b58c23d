"""Decoded arrays kept on disk, and trusted only while their digests hold.

An entry is a folder of `.npy` files, each with its SHA-256 beside it in the form that
`sha256sum --check` reads. A file that is damaged, cut short or unreadable makes the whole entry
count as missing; a cache that cannot be written costs time, never the run.
"""

import hashlib
import io
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from absl import logging


def cache_directory(cache_dir: str | os.PathLike[str] | None = None) -> Path:
  """The argument, else `ROBUST_SALIENCY_CACHE`, else the user's cache folder."""
  if cache_dir is not None:
    return Path(cache_dir).expanduser()
  if chosen := os.environ.get("ROBUST_SALIENCY_CACHE"):
    return Path(chosen).expanduser()
  return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "robust_saliency"


def read(entry: Path, names: Iterable[str]) -> dict[str, np.ndarray] | None:
  """These arrays of an entry by name, or None where one is missing or damaged."""
  try:
    return {name: _read_verified(entry / f"{name}.npy") for name in names}
  except FileNotFoundError:
    return None
  except (OSError, ValueError) as error:
    logging.warning("The cached arrays in %s cannot be used: %s", entry, error)
    return None


def write(entry: Path, arrays: dict[str, np.ndarray]) -> None:
  """Keeps the arrays for `read`; logs a warning where that is not possible.

  Every file is replaced atomically. Two processes that write one entry at once write the same
  bytes, so the order in which they end does not matter.
  """
  try:
    entry.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
      stream = io.BytesIO()
      np.save(stream, array, allow_pickle=False)
      path = entry / f"{name}.npy"
      _replace(path, stream.getvalue())
      _replace(_digest_path(path), _digest_line(path, stream.getvalue()).encode())
  except OSError as error:
    logging.warning("Decoded arrays cannot be cached and will be decoded again: %s", error)


def _read_verified(path: Path) -> np.ndarray:
  content = path.read_bytes()
  if _digest_path(path).read_text(errors="replace") != _digest_line(path, content):
    raise ValueError(f"{path.name} does not have its digest")
  return np.load(io.BytesIO(content), allow_pickle=False)


def _digest_path(path: Path) -> Path:
  return path.with_name(f"{path.name}.sha256")


def _digest_line(path: Path, content: bytes) -> str:
  return f"{hashlib.sha256(content).hexdigest()}  {path.name}\n"


def _replace(path: Path, content: bytes) -> None:
  descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
  try:
    with os.fdopen(descriptor, "wb") as file:
      file.write(content)
    os.replace(temporary, path)
  except BaseException:
    os.unlink(temporary)
    raise
