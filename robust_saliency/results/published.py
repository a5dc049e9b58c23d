"""A paper's own numbers, typed from its tables and read off its figures."""

import csv
import dataclasses
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from robust_saliency.core import checks
from robust_saliency.results.result import EXAMPLE, SEED, Result

COLUMNS = ("dataset", "study", "array", "coordinates", "value", "reading_error", "source")
# What a paper gives of an array, where that is not its mean: "statistic=median" among the
# coordinates. A mode is printed beside our mean, and not held against it.
STATISTIC, MEDIAN, MODE = "statistic", "median", "mode"

# The name of the paper's numbers among a result's metadata.
PUBLISHED = "published"

# (study, array, coordinates in the order of their names) -> number.
Place = tuple[str, str, tuple[tuple[str, str], ...]]


class Number(NamedTuple):
  """A number, with as many decimals as it was typed with, and how far it may be misread."""

  value: float
  decimals: int
  error: float = 0.0


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

  numbers: Mapping[Place, Number]

  def number(self, of: str, at: Mapping[str, Any]) -> Number | None:
    """The paper's number at a place, None where it gives none."""
    study, array = of.split(".")
    return self.numbers.get((study, array, _coordinates(at)))

  def text(
    self,
    of: str,
    at: Mapping[str, Any],
    *,
    minus: Mapping[str, Any] | None = None,
    over: Mapping[str, Any] | None = None,
    log_of_medians: bool = False,
  ) -> str | None:
    """The number, difference or ratio as a table prints it, None where the paper gives none."""
    pair = self._pair(of, at, minus, over, log_of_medians=log_of_medians) or self._pair(
      of, {**at, STATISTIC: MODE}, minus, over
    )
    if pair is None:
      return None
    ours, theirs = pair
    if theirs is None:
      return _printed(ours.value, ours.decimals)
    both = [_printed(one.value, one.decimals) for one in (ours, theirs)]
    if minus is not None:
      sign = "+" if theirs.value < 0 else "−"
      size = _printed(abs(theirs.value), theirs.decimals)
      difference = _printed(ours.value - theirs.value, max(ours.decimals, theirs.decimals))
      return f"{difference} ({both[0]} {sign} {size})"
    ratio = ours.value / theirs.value
    if log_of_medians:
      return f"{_printed(math.log10(ratio), 2)} (log₁₀ of {' / '.join(both)})"
    return f"{_printed(ratio, 3)} ({' / '.join(both)})"

  def value(
    self,
    of: str,
    at: Mapping[str, Any],
    *,
    minus: Mapping[str, Any] | None = None,
    over: Mapping[str, Any] | None = None,
    log_of_medians: bool = False,
  ) -> tuple[float, float] | None:
    """The number that `text` prints, and how far it may be off by misreading of its parts."""
    pair = self._pair(of, at, minus, over, log_of_medians=log_of_medians)
    if pair is None:
      return None
    ours, theirs = pair
    if theirs is None:
      return ours.value, ours.error
    if minus is not None:
      return ours.value - theirs.value, ours.error + theirs.error
    ratio = ours.value / theirs.value
    if log_of_medians:
      relative = sum(one.error / abs(one.value) if one.error else 0.0 for one in (ours, theirs))
      return math.log10(ratio), relative / math.log(10)
    return ratio, (ours.error + abs(ratio) * theirs.error) / abs(theirs.value)

  def _pair(
    self,
    of: str,
    at: Mapping[str, Any],
    minus: Mapping[str, Any] | None,
    over: Mapping[str, Any] | None,
    *,
    log_of_medians: bool = False,
  ) -> tuple[Number, Number | None] | None:
    """The number and what it is compared with, None where the paper lacks either."""
    at = {**at, STATISTIC: MEDIAN} if log_of_medians else at
    ours, other = self.number(of, at), minus if minus is not None else over
    if ours is None or other is None:
      return None if ours is None else (ours, None)
    theirs = self.number(of, {**at, **other})
    if theirs is None:
      return None
    if over is not None and (
      not theirs.value or (log_of_medians and ours.value / theirs.value <= 0)
    ):
      return None
    return ours, theirs

  def beside(self, result: Result) -> Result:
    """The result with the paper's numbers of its study among its metadata, for its page."""
    ours = [
      {"array": array, "at": dict(coordinates), "value": number.value}
      for (study, array, coordinates), number in self.numbers.items()
      if study == result.name
    ]
    return dataclasses.replace(result, metadata={**result.metadata, PUBLISHED: ours})

  def measured(
    self, results: Mapping[str, Result], array: str
  ) -> Iterator[tuple[Place, float, float]]:
    """The places that both have, with our number and the paper's."""
    for place, number in self.numbers.items():
      study, name, coordinates = place
      if study not in results or name != array or name not in results[study].layout.axes:
        continue
      result = results[study]
      at = {axis: _coordinate(value) for axis, value in coordinates}
      try:
        if set(result.layout.free_axes(name, at)) - {SEED, EXAMPLE}:
          continue
      except ValueError:
        continue
      ours = float(np.mean(result.at(name, **at)))
      if math.isfinite(ours):
        yield place, ours, number.value


def read_published(text: str, *, dataset: str) -> Published:
  """The rows of a data set.

  Args:
    text: a CSV file of `COLUMNS`; coordinates are "axis=value" between semicolons.
    dataset: its name.

  Raises:
    ValueError: for text that is no CSV, other columns, a number that is none, or two rows of one
      place.
  """
  reader = csv.DictReader(io.StringIO(text))
  try:
    rows, columns = list(reader), tuple(reader.fieldnames or ())
  except csv.Error as reason:
    raise ValueError(f"published numbers must be CSV: {reason}") from None
  if columns != COLUMNS:
    raise ValueError(f"published numbers must have the columns {', '.join(COLUMNS)}")
  numbers: dict[Place, Number] = {}
  for line, row in enumerate(rows, start=2):
    with checks.naming(f"published numbers, line {line}"):
      pairs = [one.split("=", 1) for one in (row["coordinates"] or "").split(";") if one]
      if not all(len(pair) == 2 for pair in pairs):
        raise ValueError(f"coordinates must be axis=value, got {row['coordinates']!r}")
      place = (row["study"], row["array"], _coordinates(dict(pairs)))
      value = _finite(row["value"])
      if row["dataset"] != dataset:
        continue
      if place in numbers:
        raise ValueError(f"a second number of {row['study']}.{row['array']}, {row['coordinates']}")
      error = _finite(row["reading_error"] or "0", field="reading_error")
      numbers[place] = Number(value, _decimals(row["value"]), error)
  return Published(numbers)


def points(
  result: Result, array: str, axis: str, at: Mapping[str, Any]
) -> tuple[list[float], list[float]]:
  """Where the paper's curve lies that is beside one of ours.

  Args:
    result: of `Published.beside`; without it there are no points.
    array: which of its arrays.
    axis: along which the curve runs, of numbers.
    at: its other coordinates.

  Returns:
    The positions along the axis, ascending, and the paper's numbers there.
  """
  rest = dict(_coordinates(at))
  found = sorted(
    (float(one["at"][axis]), one["value"])
    for one in result.metadata.get(PUBLISHED, ())
    if one["array"] == array
    and axis in one["at"]
    and {name: value for name, value in one["at"].items() if name != axis} == rest
  )
  return [place for place, _ in found], [value for _, value in found]


def _finite(text: str | None, *, field: str = "value") -> float:
  try:
    value = float(text or "")
  except ValueError:
    value = math.nan
  if not math.isfinite(value):
    raise ValueError(f"{field} must be a finite number, got {text!r}")
  return value


def _decimals(text: str) -> int:
  return len(text.partition(".")[2]) if "e" not in text.lower() else -1


def _coordinates(at: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
  return tuple(sorted((axis, _named(value)) for axis, value in at.items()))


def _named(value: Any) -> str:
  try:
    return f"{float(value):g}"
  except (TypeError, ValueError):
    return str(value)


def _coordinate(text: str) -> float | str:
  try:
    return float(text)
  except ValueError:
    return text


def _printed(number: float, decimals: int) -> str:
  """With so many decimals, or in powers of ten for -1."""
  text = f"{number:.1e}" if decimals < 0 else f"{number:.{decimals}f}"
  return text.replace("-", "−")
