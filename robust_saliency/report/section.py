"""What a part of the report is made of: a sentence, pictures, tables and sheets of numbers."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from robust_saliency.studies.result import StudyResult


@dataclasses.dataclass(frozen=True)
class Picture:
  """A drawn figure.

  Attributes:
    name: what tells it from the section's other pictures; becomes part of its file name.
    caption: what it shows, for everybody.
    alt: what it shows, for those who cannot see it.
    svg: the figure as SVG.
    png: the same figure as PNG.
    width: its natural width on the page, in CSS pixels.
    inline: which of the two the page carries (SVG for lines, PNG for images).
    least_width: it scrolls sideways rather than become narrower than this, in CSS pixels.
  """

  name: str
  caption: str
  alt: str
  svg: bytes
  png: bytes
  width: int
  inline: Literal["svg", "png"] = "svg"
  least_width: int = 0


@dataclasses.dataclass(frozen=True)
class Row:
  """A table's row: its heading, usually a model's name, and its cells as they are printed."""

  heading: str
  cells: Sequence[str]


@dataclasses.dataclass(frozen=True)
class RowGroup:
  """Rows under a common heading (an attack, an epsilon); no heading where there is one group."""

  rows: Sequence[Row]
  heading: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
  """A table for the page.

  Attributes:
    caption: what it shows.
    columns: the headings, that of the rows' headings first.
    groups: its rows.
    folded: whether the page shows it only on demand, because a picture shows the same.
    prose: whether its cells are sentences, not numbers.
  """

  caption: str
  columns: Sequence[str]
  groups: Sequence[RowGroup]
  folded: bool = False
  prose: bool = False


@dataclasses.dataclass(frozen=True)
class Sheet:
  """All numbers behind a section, in full precision, one row each: becomes a CSV file."""

  name: str
  header: Sequence[str]
  rows: Sequence[Sequence[Any]]


@dataclasses.dataclass(frozen=True)
class Section:
  """One part of the report.

  Attributes:
    title: its heading.
    reading: a sentence or two that say how to read it.
    pictures: its figures.
    tables: its tables.
    sheets: its CSV files.
  """

  title: str
  reading: str
  pictures: Sequence[Picture] = ()
  tables: Sequence[Table] = ()
  sheets: Sequence[Sheet] = ()


def fact(result: StudyResult, key: str) -> Any:
  """A fact of a study, or one sentence that says which one is missing."""
  if key not in result.facts:
    raise ValueError(
      f"the report of study {result.name!r} ({result.kind}) needs the fact {key!r}; "
      f"its facts are {', '.join(map(repr, result.facts)) or 'none'}"
    )
  return result.facts[key]


def array(result: StudyResult, key: str, **axes: int | None) -> np.ndarray:
  """An array of a study with the axes it must have; None stands for any positive length.

  >>> study = StudyResult("clean", "accuracy", {"correct": np.ones((2, 5), bool)}, {})
  >>> array(study, "correct", models=2, seeds=3, examples=None)
  Traceback (most recent call last):
  ValueError: array 'correct' of study 'clean' (accuracy) must have shape [models = 2, seeds = 3, \
examples], got [2, 5]
  """
  if key not in result.arrays:
    raise ValueError(
      f"the report of study {result.name!r} ({result.kind}) needs the array {key!r}; "
      f"its arrays are {', '.join(map(repr, result.arrays)) or 'none'}"
    )
  values = np.asarray(result.arrays[key])
  fits = values.ndim == len(axes) and all(
    given > 0 if wanted is None else given == wanted
    for given, wanted in zip(values.shape, axes.values(), strict=True)
  )
  if not fits:
    wanted = ", ".join(
      name if length is None else f"{name} = {length}" for name, length in axes.items()
    )
    raise ValueError(
      f"array {key!r} of study {result.name!r} ({result.kind}) must have shape [{wanted}], "
      f"got {list(values.shape)}"
    )
  return values
