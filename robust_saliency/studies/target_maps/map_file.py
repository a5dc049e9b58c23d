"""The maps of many images as one file, which is written in chunks and may be cut off at any one.

seed_0/from-000250.npy    one chunk, and its digest beside it
seed_0.npy                all maps in the order of their images, once they are there
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from absl import logging

from robust_saliency.core import files, folders

DTYPE = np.dtype(np.float32)


class MapFile:
  """One file of maps.

  Args:
    path: the file's.
    shape: of all maps, (N, H, W, C).
  """

  def __init__(self, path: Path, shape: tuple[int, ...]):
    self._path, self._shape = path, shape
    self._chunks = path.with_suffix("")

  def make(self, maps_of: Callable[[slice], np.ndarray], *, examples: int) -> str:
    """Makes what is missing.

    Args:
      maps_of: the images of a chunk -> their maps.
      examples: images of a chunk; with another number all chunks are made again.

    Returns:
      The digest of the file, in which chunks leave no trace.

    Raises:
      OSError: if something cannot be written.
    """
    try:
      return files.verified_digest(self._path)
    except files.DamagedFileError:
      pass
    total = self._shape[0]
    parts = [slice(i, min(i + examples, total)) for i in range(0, total, examples)]
    for part in parts:
      if self._read(part) is None:
        self._write(part, np.asarray(maps_of(part), DTYPE))
    # A process that was killed while it gathered them could not clear up.
    for left in self._path.parent.glob(f".{self._path.name}.*"):
      left.unlink(missing_ok=True)
    digest = files.write_parts_with_digest(self._path, self._gathered(parts))
    folders.remove_tree(self._chunks)
    return digest

  def _gathered(self, parts: list[slice]) -> Iterator[bytes]:
    header = io.BytesIO()
    fields = {"descr": DTYPE.str, "fortran_order": False, "shape": self._shape}
    np.lib.format.write_array_header_1_0(header, fields)
    yield header.getvalue()
    for part in parts:
      maps = self._read(part)
      if maps is None:
        raise OSError(f"{self._chunk(part)} was damaged meanwhile; start the same command again")
      yield maps.tobytes()

  def _chunk(self, part: slice) -> Path:
    return self._chunks / f"from-{part.start:06d}.npy"

  def _write(self, part: slice, maps: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, maps, allow_pickle=False)
    files.write_with_digest(self._chunk(part), content.getvalue())

  def _read(self, part: slice) -> np.ndarray | None:
    path = self._chunk(part)
    if not path.exists():
      return None
    try:
      maps = np.load(io.BytesIO(files.read_verified(path)), allow_pickle=False)
      if maps.shape == (part.stop - part.start, *self._shape[1:]) and maps.dtype == DTYPE:
        return maps
    except ValueError as error:
      logging.warning("A chunk of maps is made again: %s", error)
    return None


def open_maps(path: Path, digest: str) -> np.ndarray:
  """The maps in a whole file, float32 [N, H, W, C]; they are read from disk where they are used.

  Args:
    path: the file's.
    digest: its SHA-256.

  Raises:
    DamagedFileError: if it does not hold what was written, or no such maps.
  """
  if files.verified_digest(path) != digest:
    raise files.DamagedFileError(f"{path} holds other maps than those that were made")
  try:
    maps = np.load(path, mmap_mode="r", allow_pickle=False)
  except (ValueError, EOFError) as error:
    raise files.DamagedFileError(f"{path} holds no maps: {error}") from None
  if not isinstance(maps, np.ndarray) or maps.ndim < 3 or maps.dtype != DTYPE:
    raise files.DamagedFileError(f"{path} must hold float32 maps [N, H, W, C], it does not")
  return maps
