"""Several runs side by side: as text for a terminal, and as sections of a page.

Whatever comes from a run may be a stranger's: the text holds nothing that a terminal would obey.
"""

import dataclasses
import itertools
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from robust_saliency.core import checks, files
from robust_saliency.core.differing import differing
from robust_saliency.drawing.formatting import number, percent, percent_range
from robust_saliency.drawing.section import Row, RowGroup, Section, Sheet, Table
from robust_saliency.results.comparison import Compared, Quantity
from robust_saliency.results.estimate import Estimate

WIDTH = 80
MISSING = "–"
NOT_GIVEN = "not given"
UNPAIRED = "~"
_READING = (
  f"Differences are from {{first}}. They are paired by seed and image; where two runs have other "
  f"seeds or images, marked {UNPAIRED}, their intervals take the two for independent."
)


@dataclasses.dataclass(frozen=True)
class Side:
  """A run that is compared.

  Attributes:
    letter: what the tables call it.
    name: its directory.
    about: heading -> what is told of it (title, data set, seeds).
    config: its config, nested.
  """

  letter: str
  name: str
  about: Mapping[str, str]
  config: Mapping[str, Any]


def differing_fields(configs: Sequence[Any]) -> dict[str, list[str]]:
  """The fields in which configs differ, and what each has there.

  >>> differing_fields([{"seeds": [0], "steps": 1}, {"seeds": [0], "steps": 2}, {"seeds": [0]}])
  {'steps': ['1', '2', 'not given']}
  """
  return {
    field: [NOT_GIVEN if one is None else checks.shown(one) for one in values]
    for field, values in differing(configs, absent=None)
  }


def text(sides: Sequence[Side], compared: Sequence[Compared], notes: Sequence[str]) -> str:
  """The comparison in 80 columns."""
  lines = []
  for side in sides:
    about = ", ".join(f"{name.lower()} {said}" for name, said in side.about.items() if said)
    lines.append(_folded(f"{side.letter}  {side.name}: {about}", "   "))
  lines += [_folded(note, "") for note in notes]
  fields = differing_fields([side.config for side in sides])
  lines += ["", "Where the configs differ:" if fields else "The configs do not differ."]
  for field, values in fields.items():
    lines.append(_folded(f"  {field}", "    "))
    lines += [
      _folded(f"    {side.letter}  {value}", "       ")
      for side, value in zip(sides, values, strict=True)
    ]
  for quantity, rows in itertools.groupby(compared, lambda one: one.quantity):
    lines += ["", *_quantity_lines(sides, quantity, list(rows))]
  return "\n".join([*lines, "", _folded(summary(sides, compared), "")])


def summary(sides: Sequence[Side], compared: Sequence[Compared]) -> str:
  """How to read the differences, and how many of them are more than chance explains."""
  return f"{_READING.format(first=sides[0].letter)} {_counted(compared)}".strip()


def _counted(compared: Sequence[Compared]) -> str:
  found = [one for row in compared for one in row.differences if one is not None]
  known = [one for one in found if math.isfinite(one.low) and math.isfinite(one.high)]
  if not known:
    return ""
  without = sum(one.low > 0 or one.high < 0 for one in known)
  return (
    f"{without} of {len(known)} differences have a 95 % interval without 0, which one in twenty "
    "has where nothing differs."
  )


def sections(
  sides: Sequence[Side], compared: Sequence[Compared], notes: Sequence[str]
) -> dict[str, Section]:
  """Stem of its files -> section: the runs, then a table for each study."""
  fields = differing_fields([side.config for side in sides])
  letters = [side.letter for side in sides]
  headings = [name for name in sides[0].about if any(one.about[name] for one in sides)]
  tables = [
    Table(
      "The runs.",
      ["Run", "Directory", *headings],
      [
        RowGroup(
          [Row(one.letter, [one.name, *map(one.about.__getitem__, headings)]) for one in sides]
        )
      ],
      prose=True,
    )
  ]
  if fields:
    rows = [Row(field, values) for field, values in fields.items()]
    caption = "The fields in which the configs differ."
    tables.append(Table(caption, ["Field", *letters], [RowGroup(rows)], prose=True))
  first = Section(
    title="The runs",
    reading=" ".join(notes or ["All differences in their settings are in the second table."])
    if fields
    else " ".join([*notes, "The configs do not differ."]),
    tables=tables,
    sheets=[_sheet(sides, compared)],
  )
  studies = list(dict.fromkeys(one.quantity.study for one in compared))
  stems = files.unique_slugs(["comparison", *studies])
  of_studies = {
    stem: _study_section(sides, study, [one for one in compared if one.quantity.study == study])
    for stem, study in zip(stems[1:], studies, strict=True)
  }
  return {"comparison": first, **of_studies}


def _study_section(sides: Sequence[Side], study: str, compared: Sequence[Compared]) -> Section:
  columns = ["Network", sides[0].letter]
  for side in sides[1:]:
    columns += [side.letter, f"{side.letter} − {sides[0].letter}"]
  groups = []
  for quantity, of_quantity in itertools.groupby(compared, lambda one: one.quantity):
    rows = []
    for one in of_quantity:
      cells = [_in_one_cell(one.values[0], quantity)]
      for i in range(1, len(sides)):
        cells.append(_in_one_cell(one.values[i], quantity))
        cells.append(_in_one_cell(one.differences[i], quantity, mark=_mark(one, i)))
      rows.append(Row(one.network, cells))
    groups.append(RowGroup(rows, heading=_heading(quantity)))
  return Section(
    title=study,
    reading=_counted(compared),
    tables=[Table("Values, and 95 % intervals in brackets.", columns, groups)],
  )


def _sheet(sides: Sequence[Side], compared: Sequence[Compared]) -> Sheet:
  header = ["study", "array", "at", "network", "run", "directory"]
  ends = ["value", "low", "high", "over"]
  rows = []
  for one in compared:
    quantity = one.quantity
    place = [quantity.study, quantity.array, _place(quantity), one.network]
    for i, side in enumerate(sides):
      value, difference = one.values[i], one.differences[i]
      rows.append(
        [*place, side.letter, side.name, *_ends(value), *_ends(difference), one.paired[i]]
      )
  return Sheet(
    "comparison", [*header, *ends, *(f"difference {end}" for end in ends), "paired"], rows
  )


def _ends(estimate: Estimate | None) -> list[Any]:
  return [None] * 4 if estimate is None else [*estimate[:3], estimate.over]


def _quantity_lines(
  sides: Sequence[Side], quantity: Quantity, rows: Sequence[Compared]
) -> list[str]:
  table = [["network", "", "", "95 % interval", f"less {sides[0].letter}", "95 % interval"]]
  for one in rows:
    shown = [i for i, value in enumerate(one.values) if value is not None]
    for i in shown:
      value, difference = one.values[i], one.differences[i]
      table.append(
        [
          checks.printable(one.network) if i == shown[0] else "",
          sides[i].letter,
          _value(value, quantity),
          _range(value, quantity),
          _mark(one, i) + _value(difference, quantity, signed=True) if difference else "",
          _range(difference, quantity),
        ]
      )
  widths = [max(len(row[i]) for row in table) for i in range(1, 6)]
  name_width = min(max(len(row[0]) for row in table), WIDTH - sum(widths) - 2 * len(widths))
  lines = [_folded(_heading(quantity), "  ")]
  for name, *cells in table:
    if len(name) > name_width:
      lines.append(_folded(name, ""))
      name = ""
    lines.append("  ".join([name.ljust(name_width), *map(str.rjust, cells, widths)]).rstrip())
  return lines


def _heading(quantity: Quantity) -> str:
  unit = " (%)" if quantity.is_share else ""
  place = _place(quantity)
  return f"{quantity.study}: {quantity.array.replace('_', ' ')}{', ' * bool(place)}{place}{unit}"


def _place(quantity: Quantity) -> str:
  return ", ".join(
    f"{axis} {coordinate:g}" if isinstance(coordinate, float) else f"{axis} {coordinate}"
    for axis, coordinate in quantity.at
  )


def _mark(one: Compared, position: int) -> str:
  return "" if one.paired[position] or one.differences[position] is None else UNPAIRED


def _in_one_cell(estimate: Estimate | None, quantity: Quantity, mark: str | None = None) -> str:
  """A number and its interval; a difference, which has a mark, with its sign."""
  if estimate is None:
    return MISSING
  between = _range(estimate, quantity)
  value = _value(estimate, quantity, signed=mark is not None)
  return f"{mark or ''}{value} ({between})" if between else f"{mark or ''}{value}"


def _value(estimate: Estimate | None, quantity: Quantity, *, signed: bool = False) -> str:
  if estimate is None:
    return ""
  printed = percent(estimate.value) if quantity.is_share else number(estimate.value)
  return f"{'+' * (signed and estimate.value > 0)}{printed}".replace("-", "−")


def _range(estimate: Estimate | None, quantity: Quantity) -> str:
  """The interval; nothing where there is none, which the number's own network may say."""
  if estimate is None or not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
    return ""
  if quantity.is_share:
    return percent_range(estimate.low, estimate.high).replace("-", "−")
  return f"{number(estimate.low)} to {number(estimate.high)}"


def _folded(line: str, indent: str) -> str:
  return textwrap.fill(
    checks.printable(line), WIDTH, subsequent_indent=indent, break_on_hyphens=False
  )
