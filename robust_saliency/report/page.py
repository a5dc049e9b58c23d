"""The HTML page: one file that opens without a network and without JavaScript."""

import base64
import dataclasses
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from robust_saliency.core.files import json_text
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Picture, Section
from robust_saliency.report.claims import DRAWING_WIDTH, ClaimsPart
from robust_saliency.training.progress import duration

# What the page tells of a run where it is known; config and devices have their own lines below.
RUN_FACTS = ("date", "git", "precision", "versions", "wall_seconds")


@dataclasses.dataclass(frozen=True)
class PlacedSection:
  """A section with its anchor on the page and its files, paths relative to the page.

  Attributes:
    section: the content.
    anchor: the page's identifier of it.
    pictures: each picture with the paths of its SVG and its PNG.
    data: (what it is, path) of the files with its numbers.
  """

  section: Section
  anchor: str
  pictures: Sequence[tuple[Picture, str, str]]
  data: Sequence[tuple[str, str]]


def render(
  *,
  title: str,
  command: str,
  summary: str,
  scale: str,
  claims: ClaimsPart,
  claims_data: Sequence[tuple[str, str]],
  sections: Sequence[PlacedSection],
  run: dict[str, Any],
  run_data: Sequence[tuple[str, str]],
  styles: dict[str, Style],
) -> str:
  """The page's HTML; every text is escaped, whatever it holds.

  Args:
    title: the experiment's name.
    command: the command line that repeats it.
    summary: one paragraph.
    scale: how large this variant of the experiment is, in words.
    claims: the first part, with its tables.
    claims_data: (what it is, path) of the claims' files.
    sections: the rest, in order.
    run: config, versions, devices, precision, wall times and date.
    run_data: (what it is, path) of the run's files.
    styles: each model's colour, shown beside its name.

  Returns:
    A whole HTML document.
  """
  environment = jinja2.Environment(
    loader=jinja2.FunctionLoader(_resource),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.filters["data_uri"] = _data_uri
  environment.filters["duration"] = duration
  return environment.get_template("page.html").render(
    title=title,
    command=command,
    summary=summary,
    scale=scale,
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
    css=Markup(_resource("style.css")),  # ours, not the user's
  )


def _resource(name: str) -> str:
  return resources.files("robust_saliency.report").joinpath(name).read_text(encoding="utf-8")


def _data_uri(picture: Picture) -> str:
  if picture.inline == "svg":
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.svg).decode()}"
  return f"data:image/png;base64,{base64.b64encode(picture.png).decode()}"


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
