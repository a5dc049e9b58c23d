"""Training metrics to a CSV file, for people and reports, and to TensorBoard's format."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter

from robust_saliency.core import files

CSV_NAME = "metrics.csv"


class MetricsWriter:
  """Writes one run's metrics, and continues the files of a run that was cut off.

  Args:
    directory: the run's folder.
    resumed_at: rows of later steps are dropped, since these steps are run again.
    writes: False leaves the disk alone, as all processes but the first do.
  """

  def __init__(self, directory: Path, *, resumed_at: int = 0, writes: bool = True):
    self._path, self._writes = directory / CSV_NAME, writes
    self._rows = [row for row in read_metrics(directory) if row["step"] <= resumed_at]
    self._tensorboard = SummaryWriter(
      str(directory / "tensorboard"), purge_step=resumed_at + 1, write_to_disk=writes
    )

  def write(self, step: int, metrics: Mapping[str, float]) -> None:
    """Adds the metrics of one step."""
    self._rows.append({"step": step, **metrics})
    for name, value in metrics.items():
      self._tensorboard.add_scalar(name, value, step)

  def flush(self) -> None:
    """Puts everything on disk; the CSV file is replaced as a whole."""
    names = list(dict.fromkeys(name for row in self._rows for name in row))
    table = [[row.get(name, "") for name in names] for row in self._rows]
    if self._writes:
      files.write_bytes(self._path, files.csv_text(names, table).encode())
    self._tensorboard.flush()

  def close(self) -> None:
    """Flushes and closes the files."""
    self.flush()
    self._tensorboard.close()


def read_metrics(directory: Path) -> list[dict[str, float]]:
  """The rows of a run's CSV file, [] where it has none."""
  path = directory / CSV_NAME
  if not path.exists():
    return []
  rows = csv.DictReader(io.StringIO(path.read_text()))
  return [
    {name: int(value) if name == "step" else float(value) for name, value in row.items() if value}
    for row in rows
  ]
