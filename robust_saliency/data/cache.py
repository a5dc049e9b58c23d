"""Decoded arrays kept on disk, and trusted only while their digests hold.

An entry is a folder of `.npy` files, each with its SHA-256 beside it in the form that
`sha256sum --check` reads. A file that is damaged, cut short or unreadable makes the whole entry
count as missing; a cache that cannot be written costs time, never the run.
"""

import io
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from absl import logging

from robust_saliency.core import files


def cache_directory(cache_dir: str | os.PathLike[str] | None = None) -> Path:
  """The argument, else `ROBUST_SALIENCY_CACHE`, else the user's cache folder."""
  if cache_dir is not None:
    return Path(cache_dir).expanduser()
  if chosen := os.environ.get("ROBUST_SALIENCY_CACHE"):
    return Path(chosen).expanduser()
  return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "robust_saliency"


def read(entry: Path, names: Iterable[str]) -> dict[str, np.ndarray] | None:
  """These arrays of an entry by name, or None where one is missing or damaged."""
  paths = {name: entry / f"{name}.npy" for name in names}
  if not all(path.exists() for path in paths.values()):
    return None
  try:
    return {name: _load(path) for name, path in paths.items()}
  except (OSError, ValueError) as error:
    logging.warning("The cached arrays in %s cannot be used: %s", entry, error)
    return None


def write(entry: Path, arrays: dict[str, np.ndarray]) -> None:
  """Keeps the arrays for `read`; logs a warning where that is not possible.

  Every file is replaced atomically. Two processes that write one entry at once write the same
  bytes, so the order in which they end does not matter.
  """
  try:
    for name, array in arrays.items():
      stream = io.BytesIO()
      np.save(stream, array, allow_pickle=False)
      files.write_with_digest(entry / f"{name}.npy", stream.getvalue())
  except OSError as error:
    logging.warning("Decoded arrays cannot be cached and will be decoded again: %s", error)


def _load(path: Path) -> np.ndarray:
  return np.load(io.BytesIO(files.read_verified(path)), allow_pickle=False)
