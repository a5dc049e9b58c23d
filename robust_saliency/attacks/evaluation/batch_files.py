"""The finished batches of a run of attacks, on disk, from which a killed run resumes.

run.json                        what the run follows from
00-apgd-ce/from-000250.npz      one batch of the first attack, and its digest beside it
result.npz, result.json         all arrays, and what they mean, once everything is done
"""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from robust_saliency.attacks.evaluation.identity import differences
from robust_saliency.core import files, folders, records


class Batch(NamedTuple):
  """What an attack did to some examples.

  Attributes:
    indices: their places in the data set, int [B].
    broken: whether the network misclassifies the image, which lies within the threat model [B].
    outside: whether the attack's image left the threat model [B].
    x_adv: the images of those that are broken.
    seconds: how long the attack took.
  """

  indices: np.ndarray
  broken: np.ndarray
  outside: np.ndarray
  x_adv: np.ndarray
  seconds: np.ndarray


class BatchFiles:
  """A directory of finished batches, or with None nothing at all.

  Args:
    workdir: the directory.

  Use it as `with BatchFiles(workdir).opened(identity) as batch_files`.
  """

  def __init__(self, workdir: Path | str | None):
    self._workdir = None if workdir is None else Path(workdir)

  @contextlib.contextmanager
  def opened(self, identity: Mapping[str, Any]) -> Iterator["BatchFiles"]:
    """Makes the directory this run's, and keeps other processes out.

    Raises:
      ValueError: if it belongs to another run, is in use, or holds a damaged run.json.
    """
    if self._workdir is None:
      yield self
      return
    self._workdir.mkdir(parents=True, exist_ok=True)
    folders.refuse_linked_folders(self._workdir)
    with contextlib.ExitStack() as stack:
      try:
        stack.enter_context(folders.locked(self._workdir / ".lock"))
      except BlockingIOError as error:
        raise ValueError(f"workdir {self._workdir} is in use: {error}") from None
      self._claim(json.loads(files.json_text(dict(identity))))
      yield self

  def finished(self, attack: str, images: np.ndarray) -> list[Batch]:
    """The batches of an attack on these images that are there and undamaged."""
    if self._workdir is None:
      return []
    batches = []
    for path in sorted((self._workdir / attack).glob("from-*.npz")):
      try:
        batches.append(_batch(path, images))
      except files.DamagedFileError as error:
        logging.warning("A batch of %s is attacked again: %s", attack, error)
    return batches

  def save(self, attack: str, batch: Batch) -> None:
    """Adds a batch."""
    if self._workdir is not None:
      path = self._workdir / attack / f"from-{batch.indices[0]:06d}.npz"
      files.write_with_digest(path, files.npz(batch._asdict()))

  def save_result(self, arrays: dict[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Writes the arrays of the whole run, and what they mean."""
    if self._workdir is not None:
      files.write_with_digest(self._workdir / "result.npz", files.npz(arrays))
      files.write_with_digest(
        self._workdir / "result.json", files.json_text(dict(metadata)).encode()
      )

  def _claim(self, identity: dict[str, Any]) -> None:
    assert self._workdir is not None
    path = self._workdir / "run.json"
    if path.exists():
      try:
        known = records.parse(files.read_bytes(path), path)
      except ValueError:
        raise ValueError(f"{path} is damaged; delete {self._workdir} to start over") from None
      different = differences(known, identity)
      if different:
        raise ValueError(
          f"workdir {self._workdir} belongs to another run of attacks, which differs in "
          f"{', '.join(different)}; choose another workdir, or delete this one to start over"
        )
    else:
      files.write_bytes(path, files.json_text(identity).encode())


def _batch(path: Path, images: np.ndarray) -> Batch:
  """A batch, if it is one of these images."""
  arrays = records.arrays_in(files.read_verified(path), path)
  if set(arrays) != set(Batch._fields):
    raise files.DamagedFileError(f"{path} must hold the arrays {', '.join(Batch._fields)}")
  batch = Batch(**arrays)
  places, kinds = batch.indices, (batch.indices.dtype.kind, batch.x_adv.dtype.kind)
  fits = (
    kinds in (("i", "f"), ("u", "f"))
    and places.ndim == 1
    and len(places) > 0
    and 0 <= places.min() <= places.max() < len(images)
    and all(
      one.dtype == bool and one.shape == places.shape for one in (batch.broken, batch.outside)
    )
    and batch.x_adv.shape == (int(batch.broken.sum()), *images.shape[1:])
    and batch.seconds.shape == ()
  )
  if not fits:
    raise files.DamagedFileError(f"{path} holds no batch of these {len(images)} images")
  return batch
