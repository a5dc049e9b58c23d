"""A paper's own numbers, typed from its tables and read off its figures."""

import csv
import dataclasses
import io
import math
from collections.abc import Mapping
from typing import Any

COLUMNS = ("dataset", "study", "array", "coordinates", "value", "reading_error", "source")

# (study, array, coordinates in the order of their names) -> value.
Place = tuple[str, str, tuple[tuple[str, str], ...]]


@dataclasses.dataclass(frozen=True)
class Published:
  r"""Numbers of one data set by their place, the same as that of what is measured here.

  >>> table = "dataset,study,array,coordinates,value,reading_error,source\n"
  >>> table += "mnist,FGSM,correct,epsilon=0.4;target=GR(y),0.62,0.02,figure 1\n"
  >>> table += "mnist,FGSM,correct,epsilon=0.4;target=undefended,0.09,0.02,figure 1\n"
  >>> paper = read_published(table, dataset="mnist")
  >>> at = {"target": "GR(y)", "epsilon": 0.4}
  >>> paper.text("FGSM.correct", at), paper.text("FGSM.correct", at, minus={"target": "undefended"})
  ('0.62', '0.53 (0.62 − 0.09)')
  """

  values: Mapping[Place, float]

  def value(self, of: str, at: Mapping[str, Any]) -> float | None:
    """The paper's number at a place, None where it gives none."""
    study, array = of.split(".")
    return self.values.get((study, array, _coordinates(at)))

  def text(
    self,
    of: str,
    at: Mapping[str, Any],
    *,
    minus: Mapping[str, Any] | None = None,
    over: Mapping[str, Any] | None = None,
  ) -> str | None:
    """The number, difference or ratio as a table prints it, None where the paper gives none."""
    ours = self.value(of, at)
    if ours is None:
      return None
    if minus is None and over is None:
      return _printed(ours)
    theirs = self.value(of, {**at, **(minus if minus is not None else over or {})})
    if theirs is None:
      return None
    if minus is not None:
      sign = "+" if theirs < 0 else "−"
      return f"{_printed(ours - theirs)} ({_printed(ours)} {sign} {_printed(abs(theirs))})"
    return f"{_printed(ours / theirs)} ({_printed(ours)} / {_printed(theirs)})"


def read_published(text: str, *, dataset: str) -> Published:
  """The rows of a data set.

  Args:
    text: a CSV file of `COLUMNS`; coordinates are "axis=value" between semicolons.
    dataset: its name.

  Raises:
    ValueError: for other columns, a number that is none, or two rows of one place.
  """
  reader = csv.DictReader(io.StringIO(text))
  if tuple(reader.fieldnames or ()) != COLUMNS:
    raise ValueError(f"published numbers must have the columns {', '.join(COLUMNS)}")
  values: dict[Place, float] = {}
  for line, row in enumerate(reader, start=2):
    coordinates = dict(one.split("=", 1) for one in row["coordinates"].split(";") if one)
    place = (row["study"], row["array"], _coordinates(coordinates))
    if row["dataset"] != dataset:
      continue
    if place in values:
      raise ValueError(f"published numbers, line {line}: a second number of the same place")
    value = float(row["value"])
    if not math.isfinite(value):
      raise ValueError(f"published numbers, line {line}: value must be finite, got {row['value']}")
    values[place] = value
  return Published(values)


def _coordinates(at: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
  return tuple(sorted((axis, _named(value)) for axis, value in at.items()))


def _named(value: Any) -> str:
  try:
    return f"{float(value):g}"
  except (TypeError, ValueError):
    return str(value)


def _printed(number: float) -> str:
  digits = f"{number:.2f}" if 0.01 <= abs(number) < 1000 or number == 0 else f"{number:.2g}"
  return digits.replace("-", "−")
