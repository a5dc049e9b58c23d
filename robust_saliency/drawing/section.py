"""What a part of the report is made of: a sentence, pictures, tables and sheets of numbers."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal


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
    inline: which of them the page carries (SVG for lines, PNG for images).
    least_width: it scrolls sideways rather than become narrower than this, in CSS pixels.
    webp: the same figure as WebP in few colours, for a page that a repository keeps.
  """

  name: str
  caption: str
  alt: str
  svg: bytes
  png: bytes
  width: int
  inline: Literal["svg", "png", "webp"] = "svg"
  least_width: int = 0
  webp: bytes = b""


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
class Headline:
  """A column of the page's first table: one number for each network.

  Attributes:
    heading: what it is ("clean accuracy, %").
    cells: network -> the number, as it is printed.
  """

  heading: str
  cells: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Section:
  """One part of the report.

  Attributes:
    title: its heading.
    reading: a sentence or two that say how to read it.
    pictures: its figures.
    tables: its tables.
    sheets: its CSV files.
    headlines: what the page's first table says of it.
    is_headline: whether its first picture may stand on the page's first screen.
  """

  title: str
  reading: str
  pictures: Sequence[Picture] = ()
  tables: Sequence[Table] = ()
  sheets: Sequence[Sheet] = ()
  headlines: Sequence[Headline] = ()
  is_headline: bool = False
