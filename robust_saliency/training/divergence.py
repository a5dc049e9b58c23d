"""Trainings that have diverged: recorded beside their metrics, so that none is tried again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from robust_saliency.core import files, records
from robust_saliency.training.checkpoints import tell
from robust_saliency.training.metrics import CSV_NAME, Row, write_rows

NAME = "diverged.json"
_FIELDS = {"reason": records.TEXT, "identity": records.ANYTHING, "metrics": records.TEXT}


class DivergedError(FloatingPointError):
  """A metric has become NaN or infinite, or the state NaN.

  Args:
    label: what the run is called.
    reason: what became what, and when ("loss became nan by step 10").
    step: by which step.
  """

  def __init__(self, label: str, reason: str, step: int):
    super().__init__(f"{label}: {reason}; {_ADVICE}")
    self.reason, self.step = reason, step


def record(directory: Path, reason: str, *, step: int, rows: Sequence[Row], identity: Any) -> None:
  """Writes down that a training has diverged; its metrics end with a row of NaN.

  Args:
    directory: the run's folder.
    reason: what became what, and when.
    step: by which step.
    rows: the run's metrics so far; those of this step count as NaN.
    identity: what the run follows from, JSON-serialisable; `recorded` compares it.

  Raises:
    OSError: if it cannot be written.
  """
  if jax.process_index() != 0:
    return
  names = dict.fromkeys(name for row in rows for name in row if name != "step")
  last: Row = {"step": step, **dict.fromkeys(names, float("nan"))}
  write_rows(directory, [*(row for row in rows if row["step"] < step), last])
  about = {"reason": reason, "identity": identity, "metrics": _digest_of_metrics(directory)}
  files.write_with_digest(directory / NAME, files.json_text(about).encode())


def recorded(directory: Path, *, identity: Any) -> str:
  """Why the training in this folder has diverged; "" where none of this identity has.

  A record that is damaged is skipped, with a warning. The same on all processes.
  """
  if jax.process_count() == 1:
    return _read(directory, identity)
  return tell(_read(directory, identity).encode() if jax.process_index() == 0 else b"").decode()


def without_numbers(tree: Any) -> Any:
  """The same tree with NaN for every number: what a training that has diverged returns."""
  return jax.tree.map(
    lambda leaf: (
      np.full_like(leaf, np.nan) if jnp.issubdtype(leaf.dtype, jnp.inexact) else np.asarray(leaf)
    ),
    tree,
  )


def _read(directory: Path, identity: Any) -> str:
  path = directory / NAME
  if not path.exists():
    return ""
  try:
    about = records.read_record(path, _FIELDS)
  except files.DamagedFileError as error:
    logging.warning("Training again: %s", error)
    return ""
  if about["identity"] != json.loads(files.json_text(identity)):
    return ""
  if about["metrics"] != _digest_of_metrics(directory):
    logging.warning("Training again: the metrics in %s are not those that were recorded", directory)
    return ""
  return about["reason"]


def _digest_of_metrics(directory: Path) -> str:
  path = directory / CSV_NAME
  return files.digest_of_file(path) if path.is_file() else ""


_ADVICE = (
  "the last checkpoint before it is kept. A lower learning rate or a smaller weight of that term "
  "usually helps."
)
