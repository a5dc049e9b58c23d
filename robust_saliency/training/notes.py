"""What a checkpoint notes beside the state: all that the loop has to know to resume."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from robust_saliency.core import records
from robust_saliency.core.files import DamagedFileError
from robust_saliency.training.early_stopping import Scores
from robust_saliency.training.metrics import Row

# Name of a network -> what became what, and by which step.
Diverged = dict[str, tuple[str, int]]

_FIELDS: dict[str, records.Form] = {
  "rows": records.Each(records.LIST, {"step": records.COUNT}),
  "recent": records.Each(records.LIST, records.FIELDS),
  "scores": records.Each(records.FIELDS, records.MEASURED),
}
_DIVERGED = records.Each(records.FIELDS, records.LIST)


def notes_of(
  rows: list[Row], recent: list[Mapping[str, Any]], scores: Scores, diverged: Diverged
) -> dict[str, Any]:
  """The notes, JSON-serialisable.

  Args:
    rows: the run's metrics so far.
    recent: those of the steps since the last row.
    scores: of early stopping.
    diverged: of a run of several networks, those that have diverged.
  """
  numbers = [
    {name: np.asarray(value, np.float64).tolist() for name, value in row.items()}
    for row in jax.device_get(recent)
  ]
  notes = {"rows": rows, "recent": numbers, "scores": dict(scores)}
  return {**notes, "diverged": dict(diverged)} if diverged else notes


def check_notes(notes: dict[str, Any], path: str) -> None:
  """Raises for notes that are none of a run's, which a stranger's checkpoint may have.

  Args:
    notes: as they were read.
    path: of their file.

  Raises:
    DamagedFileError: naming the file and the field.
  """
  records.check_fields(notes, _FIELDS, path)
  for row in notes["rows"]:
    records.check_fields(row, dict.fromkeys(row, records.MEASURED), f"{path}, rows")
  if not all(step.isdecimal() for step in notes["scores"]):
    raise DamagedFileError(f"{path}: scores must be those of whole numbers of steps")
  if "diverged" in notes:
    records.check_fields(notes, {"diverged": _DIVERGED}, path)
    if any(list(map(type, of)) != [str, int] for of in notes["diverged"].values()):
      raise DamagedFileError(f"{path}: diverged must be a reason and a step of each network")


def numbers_of(rows: list[dict[str, Any]]) -> list[Row]:
  """Rows of a checkpoint's notes, in which what was no number is None."""
  return [{k: math.nan if value is None else value for k, value in row.items()} for row in rows]
