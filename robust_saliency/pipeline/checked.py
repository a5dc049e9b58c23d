"""Which plans have been traced before and passed, so that the next start need not trace them again.

To trace every training step and every attack of an experiment takes as long as to import what does
it. What it finds follows from the config, the shapes of the data set, this package, the libraries
and the devices alone: all of these together name an empty file. Nothing is read from it, and
whatever it might hide would stop the run where it is computed.
"""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import jax

from robust_saliency.core import files
from robust_saliency.data import Dataset


@dataclasses.dataclass(frozen=True)
class Checked:
  """The plans that have passed.

  Attributes:
    folder: in which each has an empty file; only this user may write to it.
    code: what the package and the libraries are, JSON-serialisable.
  """

  folder: Path
  code: Any

  def has(self, config: Any, dataset: Dataset) -> bool:
    """Whether this plan has passed."""
    return self._path(config, dataset).is_file()

  def add(self, config: Any, dataset: Dataset) -> None:
    """Keeps that it has; a folder that cannot be written to is none of the run's troubles."""
    with contextlib.suppress(OSError):
      self.folder.mkdir(mode=0o700, exist_ok=True)
      self._path(config, dataset).touch(mode=0o600)

  def _path(self, config: Any, dataset: Dataset) -> Path:
    splits = (dataset.train, dataset.test, dataset.validation)
    facts = {
      "code": self.code,
      "config": config,
      "dataset": [dataset.name, dataset.classes, dataset.scale, dataset.offset, dataset.bounds],
      "splits": [
        None if split is None else [[str(a.dtype), a.shape] for a in (split.x, split.y)]
        for split in splits
      ],
      "devices": [jax.default_backend(), jax.device_count()],
    }
    return self.folder / files.digest(files.json_text(facts).encode())
