"""The HTML page: one file that opens without a network.

Its script sorts, filters and enlarges; without one, nothing is missing.
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from robust_saliency.core.files import json_text
from robust_saliency.core.progress import duration
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Picture, Section
from robust_saliency.report import html
from robust_saliency.report.claims import ClaimsPart
from robust_saliency.report.interval_drawing import DRAWING_WIDTH
from robust_saliency.report.overview import Overview

# What the page tells of a run where it is known; config and devices have their own lines below.
RUN_FACTS = ("date", "git", "precision", "versions", "wall_seconds")


# What kind of file it is ("CSV"), and its path.
Link = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class PlacedSection:
  """A section with its anchor on the page and its files, paths relative to the page.

  Attributes:
    section: the content.
    anchor: the page's identifier of it.
    pictures: each picture with the files of it that lie beside the page, perhaps none.
    data: the files with its numbers.
  """

  section: Section
  anchor: str
  pictures: Sequence[tuple[Picture, Sequence[Link]]]
  data: Sequence[Link]


def render(
  *,
  title: str,
  command: str,
  summary: str,
  scale: str,
  overview: Overview,
  claims: ClaimsPart | None,
  claims_data: Sequence[Link],
  sections: Sequence[PlacedSection],
  run: dict[str, Any],
  run_data: Sequence[Link],
  styles: dict[str, Style],
  run_title: str = "This run",
) -> str:
  """The page's HTML; every text is escaped, whatever it holds.

  Args:
    title: the experiment's name.
    command: the command line that repeats it.
    summary: one paragraph.
    scale: how large this variant of the experiment is, in words.
    overview: the first screen.
    claims: the part that follows, with its tables; None for a page that is about none.
    claims_data: the claims' files.
    sections: the rest, in order.
    run: config, versions, devices, precision, wall times and date, as far as there are any.
    run_data: the run's files.
    styles: each model's colour, shown beside its name.
    run_title: the heading of the last part, which says how to repeat it.

  Returns:
    A whole HTML document.
  """
  return html.fill_in(
    "page.html",
    css=["style.css"],
    script="page.js",
    filters={"data_uri": _data_uri, "duration": duration},
    title=title,
    command=command,
    summary=summary,
    scale=scale,
    overview=overview,
    claims=claims,
    claims_data=claims_data,
    drawing_width=DRAWING_WIDTH,
    sections=sections,
    run={**dict.fromkeys(RUN_FACTS), **run},
    devices=_counted(run.get("devices", ())),
    config=json_text(run.get("config", {})),
    config_fields=_count_fields(run.get("config", {})),
    run_data=run_data,
    styles=styles,
    run_title=run_title,
  )


def _data_uri(picture: Picture) -> str:
  forms = {
    "svg": ("svg+xml", picture.svg),
    "png": ("png", picture.png),
    "webp": ("webp", picture.webp),
  }
  kind, content = forms[picture.inline]
  return html.data_uri(content, kind)


def _counted(names: Sequence[Any]) -> str:
  """Names in order, equal ones counted.

  >>> _counted(["cpu", "cpu", "gpu"])
  '2 × cpu, gpu'
  """
  counts = Counter(map(str, names))
  return ", ".join(f"{count} × {name}" if count > 1 else name for name, count in counts.items())


def _count_fields(config: Any) -> int:
  if isinstance(config, dict):
    return sum(map(_count_fields, config.values()))
  return 1
