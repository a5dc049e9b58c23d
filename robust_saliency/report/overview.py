"""The page's first screen: what was asked, one table over the networks, and one picture."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from robust_saliency.drawing.section import Picture, Section

MISSING = "–"


@dataclasses.dataclass(frozen=True)
class Overview:
  """What the first screen shows.

  Attributes:
    columns: (heading, anchor of the section that has the rest) of each column.
    rows: (network, its cells).
    picture: the headline figure and the anchor of its section, None where no study has one.
  """

  columns: Sequence[tuple[str, str]]
  rows: Sequence[tuple[str, Sequence[str]]]
  picture: tuple[Picture, str] | None


def overview(sections: Mapping[str, Section], *, leave_out: Collection[str] = ()) -> Overview:
  """Gathers the sections' headlines.

  Args:
    sections: anchor -> section, in the order of the page.
    leave_out: networks without a row, such as those that a choice has passed over.

  >>> from robust_saliency.drawing.section import Headline
  >>> clean = Section("Clean accuracy", "", headlines=[Headline("clean", {"plain": "0.99"})])
  >>> overview({"clean": clean}).rows
  [('plain', ['0.99'])]
  """
  columns, networks = [], dict[str, None]()
  for anchor, section in sections.items():
    for headline in section.headlines:
      columns.append((headline, anchor, section))
      networks |= dict.fromkeys(headline.cells)
  rows = [
    (name, [headline.cells.get(name, MISSING) for headline, *_ in columns])
    for name in networks
    if name not in leave_out
  ]
  pictures = [
    (section.pictures[0], anchor)
    for anchor, section in sections.items()
    if section.is_headline and section.pictures
  ]
  headings = [headline.heading for headline, *_ in columns]
  return Overview(
    columns=[
      (heading if headings.count(heading) == 1 else _told_apart(heading, section), anchor)
      for heading, (_, anchor, section) in zip(headings, columns, strict=True)
    ],
    rows=rows,
    picture=pictures[0] if pictures else None,
  )


def _told_apart(heading: str, section: Section) -> str:
  # Studies of one kind have their names in their titles, after the kind's.
  return f"{heading}: {section.title.partition(': ')[2] or section.title}"
