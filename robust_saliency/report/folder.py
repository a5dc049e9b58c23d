"""From study results to a folder that holds a report."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from robust_saliency.core import files
from robust_saliency.drawing.palette import Style, model_styles
from robust_saliency.drawing.section import Section, Sheet
from robust_saliency.report import claims as claims_part
from robust_saliency.report.page import PlacedSection, render
from robust_saliency.results.claims import Judged
from robust_saliency.results.published import Nearness
from robust_saliency.results.result import Result
from robust_saliency.studies import STUDIES
from robust_saliency.studies import training as training_curves

# A result, and how networks are drawn -> its section.
Page = Callable[[Result, Mapping[str, Style]], Section]


def write(
  directory: str | Path,
  *,
  title: str,
  command: str,
  summary: str,
  claims: Sequence[Judged],
  results: Sequence[Result],
  pages: Mapping[str, Page],
  training: dict[str, list[dict[str, Any]]],
  run: dict[str, Any],
  scale: str = "",
  dataset: str = "",
  nearness: Nearness | None = None,
) -> Path:
  """Writes `report.html`, `figures/` (SVG and PNG) and `data/` (JSON, NumPy archives and CSV).

  The page carries its figures and its style: it opens without a network and can be sent on alone.
  Equal arguments give equal bytes, so a resumed run's report is that of an undisturbed one but
  for the times and the date in `run`. Each file appears whole, the page last.

  Args:
    directory: where; it is made where it is missing, and files of an earlier report are replaced.
    title: the experiment's name.
    command: the command line that repeats the experiment.
    summary: one paragraph for the top of the page.
    claims: what was claimed and found; the page's first table.
    results: the studies' outcomes.
    pages: study -> what makes its section.
    training: model -> rows with `seed`, `step` and the metrics that were logged there.
    run: `config` (nested dict), `versions` (package -> version), `devices` (names), `precision`,
      `wall_seconds` (stage -> seconds), `date` and perhaps `git`.
    scale: how large this variant of the experiment is, in words.
    dataset: the data set's name: what the paper says of it comes first.
    nearness: how near the run is to the paper's own numbers.

  Raises:
    ValueError: for a verdict that there is not; nothing is written then.

  Returns:
    The path of `report.html`.

  >>> import tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   page = write(folder, title="Digits", command="make demo", summary="Nothing yet.", claims=[],
  ...                results=[], pages={}, training={}, run={"config": {}})
  >>> page.name
  'report.html'
  """
  directory = Path(directory)
  kinds = list(STUDIES)
  results = sorted(results, key=lambda result: kinds.index(result.kind))
  families = _metadata_of_all(results, "families")
  chosen = _metadata_of_all(results, "chosen")
  styles = model_styles(_models(results, training), families, chosen)
  claims_first = claims_part.part(claims, dataset=dataset, nearness=nearness)
  claims_sheet = claims_part.sheet(claims, dataset=dataset)
  sections = [pages[result.name](result, styles) for result in results]
  sections = _with_names(sections, results)
  stems = files.unique_slugs(["claims", "run", "training", *(r.name for r in results)])[3:]

  placed = [
    _write_section(directory, section, stem, result)
    for section, stem, result in zip(sections, stems, results, strict=True)
  ]
  for stem, curves in _training_sections(training, families, chosen, styles).items():
    placed.append(_write_section(directory, curves, stem, None))
  claims_json = [dict(zip(claims_sheet.header, row, strict=True)) for row in claims_sheet.rows]
  claims_data = [
    _write_text(directory, "data/claims.csv", _csv(claims_sheet)),
    _write_text(directory, "data/claims.json", files.json_text(claims_json)),
  ]
  described = {"title": title, "command": command, "summary": summary, **run}
  run_data = [_write_text(directory, "data/run.json", files.json_text(described))]
  page = render(
    title=title,
    command=command,
    summary=summary,
    scale=scale,
    claims=claims_first,
    claims_data=claims_data,
    sections=placed,
    run=run,
    run_data=run_data,
    styles=styles,
  )
  return files.write_bytes(directory / "report.html", page.encode())


def _training_sections(
  training: dict[str, list[dict[str, Any]]],
  families: dict[str, dict[str, float]],
  chosen: dict[str, str],
  styles: dict[str, Style],
) -> dict[str, Section]:
  """File stem -> section: the networks, and what each choice of a network was made among."""
  passed_over = {
    name for family, ours in families.items() for name in ours if name != chosen[family]
  }
  kept = {name: rows for name, rows in training.items() if rows and name not in passed_over}
  sections = {"training": _curves(kept, styles)} if kept else {}
  for family, ours in families.items():
    rows = {name: training[name] for name in ours if training.get(name)}
    if len(rows) > 1:
      curves = _curves(rows, styles, only=training_curves.PROBED)
      stem = files.slug(f"training {family}")
      sections[stem] = dataclasses.replace(curves, title=f"Training: {family}")
  return {stem: one for stem, one in sections.items() if one.pictures}


def _curves(rows: dict[str, Any], styles: dict[str, Style], **only: Any) -> Section:
  seeds = sorted({row["seed"] for of_model in rows.values() for row in of_model})
  return training_curves.section(training_curves.training_curves(rows, seeds), styles, **only)


def _metadata_of_all(results: Sequence[Result], key: str) -> dict[str, Any]:
  """What the studies that choose networks say of each family: its candidates, the chosen one."""
  return {
    family: said for result in results for family, said in result.metadata.get(key, {}).items()
  }


def _models(results: Sequence[Result], training_rows: dict[str, Any]) -> list[str]:
  """All models' names, those that most studies compare first: colours run out."""
  compared = [result for result in results if "families" not in result.metadata]
  names = [
    name
    for result in compared
    for axis in ("model", "source")
    for name in result.layout.coordinates.get(axis, ())
  ]
  families = [name for result in results for name in result.metadata.get("families", ())]
  return [*names, *families, *training_rows]


def _with_names(sections: list[Section], results: Sequence[Result]) -> list[Section]:
  """Adds the study's name to a heading that would otherwise stand there twice."""
  titles = [section.title for section in sections]
  return [
    dataclasses.replace(section, title=f"{section.title}: {result.name}")
    if titles.count(section.title) > 1
    else section
    for section, result in zip(sections, results, strict=True)
  ]


def _write_section(
  directory: Path, section: Section, stem: str, result: Result | None
) -> PlacedSection:
  pictures = []
  names = files.unique_slugs([picture.name for picture in section.pictures])
  for picture, name in zip(section.pictures, names, strict=True):
    svg, png = f"figures/{stem}_{name}.svg", f"figures/{stem}_{name}.png"
    files.write_bytes(directory / svg, picture.svg)
    files.write_bytes(directory / png, picture.png)
    pictures.append((picture, svg, png))
  data = []
  for sheet in section.sheets:
    suffix = "" if len(section.sheets) == 1 else f"_{files.slug(sheet.name)}"
    data.append(_write_text(directory, f"data/{stem}{suffix}.csv", _csv(sheet)))
  if result is not None:
    path = f"data/{stem}.npz"
    files.write_bytes(directory / path, files.npz(result.arrays))
    data.append(("NPZ", path))
    about = {
      "name": result.name,
      "kind": result.kind,
      "axes": result.layout.axes,
      "coordinates": result.layout.coordinates,
      "metadata": result.metadata,
      "arrays": {key: list(value.shape) for key, value in result.arrays.items()},
    }
    data.append(_write_text(directory, f"data/{stem}.json", files.json_text(about)))
  return PlacedSection(section, stem, pictures, data)


def _write_text(directory: Path, path: str, text: str) -> tuple[str, str]:
  files.write_bytes(directory / path, text.encode())
  return path.rsplit(".", 1)[1].upper(), path


def _csv(sheet: Sheet) -> str:
  return files.csv_text(sheet.header, sheet.rows)
