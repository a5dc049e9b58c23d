"""Training metrics to a CSV file, for people and reports, and to TensorBoard's format."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from absl import logging

from robust_saliency.core import files

CSV_NAME = "metrics.csv"

# A row: "step", and each metric by its name.
Row = dict[str, float]


class MetricsWriter:
  """Writes one run's metrics, and continues the files of a run that was cut off.

  Args:
    directory: the run's folder.
    resumed_at: rows of later steps are dropped, since these steps are run again.
    rows: the rows so far; None for those of the CSV file.
    writes: False leaves the disk alone, as all processes but the first do.
  """

  def __init__(
    self,
    directory: Path,
    *,
    resumed_at: int = 0,
    rows: Iterable[Row] | None = None,
    writes: bool = True,
  ):
    self._directory, self._writes = directory, writes
    rows = read_metrics(directory) if rows is None else rows
    self._rows = [row for row in rows if row["step"] <= resumed_at]
    if writes:
      from robust_saliency.training.tensorboard import EventFile

      self._events = EventFile(directory / "tensorboard", resumed_at=resumed_at)

  @property
  def rows(self) -> list[Row]:
    """All rows so far."""
    return self._rows

  def write(self, step: int, metrics: Mapping[str, float]) -> None:
    """Adds the metrics of one step."""
    self._rows.append({"step": step, **metrics})
    if self._writes:
      self._events.write(step, metrics)

  def flush(self) -> None:
    """Puts everything on disk; the CSV file is replaced as a whole."""
    if self._writes:
      write_rows(self._directory, self._rows)
      self._events.flush()

  def close(self) -> None:
    """Flushes and closes the files."""
    if self._writes:
      self.flush()
      self._events.close()


def write_rows(directory: Path, rows: list[Row]) -> None:
  """Writes a run's CSV file, and its digest beside it."""
  names = list(dict.fromkeys(name for row in rows for name in row))
  table = [[row.get(name, "") for name in names] for row in rows]
  files.write_with_digest(directory / CSV_NAME, files.csv_text(names, table).encode())


def read_metrics(directory: Path) -> list[Row]:
  """The rows of a run's CSV file, [] where it has none or it is damaged."""
  path = directory / CSV_NAME
  if not path.exists():
    return []
  try:
    text = files.read_verified(path, most=files.LARGEST_TEXT).decode()
    return [
      {"step": int(row.pop("step")), **{name: float(value) for name, value in row.items() if value}}
      for row in csv.DictReader(io.StringIO(text))
    ]
  except files.DamagedFileError as error:
    logging.warning("Skipping metrics: %s", error)
  except (ValueError, TypeError, KeyError, csv.Error):
    logging.warning("Skipping metrics: %s must be a table of numbers with a column step", path)
  return []
