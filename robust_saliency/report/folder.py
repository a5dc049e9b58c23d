"""From study results to a folder that holds a report."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from robust_saliency.core import files
from robust_saliency.drawing import canvas
from robust_saliency.drawing.palette import Style, model_styles
from robust_saliency.drawing.section import Section, Sheet
from robust_saliency.report import claims as claims_part
from robust_saliency.report.findings import Findings, result_files
from robust_saliency.report.overview import overview
from robust_saliency.report.page import Link, PlacedSection, render
from robust_saliency.results.claims import Judged
from robust_saliency.results.nearness import Nearness
from robust_saliency.results.result import Result
from robust_saliency.results.trends import TRENDS
from robust_saliency.studies import STUDIES
from robust_saliency.studies import training as training_curves
from robust_saliency.studies.training import TRAINING

# Of a sheet in a small report; longer ones have a row for each example.
MOST_ROWS = 500

# Of a small report's page: a repository keeps it for years, and its tables have all numbers.
MOST_PICTURES = 20
# What the stem of a section of votes begins with; the questionnaire's name follows.
VOTES = "votes-"

# A result, and how networks are drawn -> its section.
Page = Callable[[Result, Mapping[str, Style]], Section]


def write(
  directory: str | Path,
  findings: Findings,
  *,
  claims: Sequence[Judged],
  pages: Mapping[str, Page],
  nearness: Sequence[Nearness] = (),
  more: Mapping[str, Section] = MappingProxyType({}),
  small: bool = False,
) -> Path:
  """Writes `report.html`, `figures/` (SVG and PNG) and `data/` (JSON, NumPy archives and CSV).

  The page carries its figures and its style: it opens without a network and can be sent on alone.
  Equal arguments give equal bytes, so a resumed run's report is that of an undisturbed one but
  for the times and the date in `findings.run`. Each file appears whole, the page last.

  Args:
    directory: where; it is made where it is missing, and files of an earlier report are replaced.
    findings: what the experiment has found; `data/` keeps all of it, for `read_findings`.
    claims: what was claimed and found; the page's first table.
    pages: study -> what makes its section.
    nearness: how near the run is to the paper's own numbers.
    more: stem of its files -> a section that stands last, of what is no result of a study.
    small: for a repository: no files of the figures, of which the page carries MOST_PICTURES in
      few bytes, compact arrays, and no sheets that have a row for each example.

  Raises:
    ValueError: for a verdict that there is not; nothing is written then.

  Returns:
    The path of `report.html`.

  >>> import tempfile
  >>> found = Findings(
  ...   title="Digits", command="make demo", summary="Nothing yet.", results=[],
  ...   curves=training_curves.training_curves({}, [0]), run={"config": {}})
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   write(folder, found, claims=[], pages={}).name
  'report.html'
  """
  directory, dataset = Path(directory), findings.dataset
  kinds = list(STUDIES)
  results = sorted(findings.results, key=lambda result: kinds.index(result.kind))
  families = _metadata_of_all(results, "families")
  chosen = _metadata_of_all(results, "chosen")
  curves = findings.curves
  styles = model_styles(_models(results, curves), families, chosen)
  sections = [pages[result.name](result, styles) for result in results]
  sections = _with_names(sections, results)
  taken = ["claims", "run", TRAINING, *more]
  named = [*(f"{TRAINING} {family}" for family in families), *(r.name for r in results)]
  given = files.unique_slugs([*taken, *named])[len(taken) :]
  of_families, stems = given[: len(families)], given[len(families) :]
  of_training = _training_sections(curves, families, chosen, styles, of_families)
  of_all = {**dict(zip(stems, sections, strict=True)), **of_training, **more}
  if small:
    kept_pictures = pictures_to_keep([len(section.pictures) for section in of_all.values()])
    of_all = {
      stem: _in_few_bytes(section, pictures)
      for (stem, section), pictures in zip(of_all.items(), kept_pictures, strict=True)
    }
  studies = dict(zip((r.name for r in results), stems, strict=True))
  studies |= {curves.name: TRAINING, TRENDS: TRAINING}
  of_votes = {stem.removeprefix(VOTES): stem for stem in more if stem.startswith(VOTES)}
  claims_first = claims_part.part(
    claims,
    dataset=dataset,
    nearness=nearness,
    sections={
      study: (stem, of_all[stem].title)
      for study, stem in {**of_votes, **studies}.items()
      if stem in of_all
    },
  )
  claims_sheet = claims_part.sheet(claims, dataset=dataset)

  kept = dict(zip(stems, results, strict=True)) | {TRAINING: curves}
  links = {stem: _write_result(directory, one, stem, small=small) for stem, one in kept.items()}
  placed = [
    _with_data(_write_section(directory, one, stem, figures=not small), links.get(stem, []))
    for stem, one in of_all.items()
  ]
  claims_json = [dict(zip(claims_sheet.header, row, strict=True)) for row in claims_sheet.rows]
  claims_data = [
    _write(directory, "data/claims.csv", _csv(claims_sheet)),
    _write(directory, "data/claims.json", files.json_text(claims_json).encode()),
  ]
  run_data = [_write(directory, *findings.run_file([studies[r.name] for r in findings.results]))]
  page = render(
    title=findings.title,
    command=findings.command,
    summary=findings.summary,
    scale=findings.scale,
    overview=overview(of_all, leave_out=_passed_over(families, chosen)),
    claims=claims_first,
    claims_data=claims_data,
    sections=placed,
    run=dict(findings.run),
    run_data=run_data,
    styles=styles,
  )
  return files.write_bytes(directory / "report.html", page.encode())


def write_sections(
  directory: Path,
  sections: Mapping[str, Section],
  *,
  title: str,
  command: str,
  summary: str,
  name: str = "report.html",
  told: Mapping[str, Any] | None = None,
) -> Path:
  """Writes a page of sections that are no run's, with its files, as `write` does.

  Args:
    directory: where; it is made where it is missing.
    sections: stem of its files -> section, in order.
    title: the page's.
    command: the command line that repeats it.
    summary: one paragraph.
    name: of the page.
    told: what else is told of it at its end.

  Returns:
    The page's path.
  """
  page = render(
    title=title,
    command=command,
    summary=summary,
    scale="",
    overview=overview({}),
    claims=None,
    claims_data=[],
    sections=[_write_section(directory, one, stem, figures=True) for stem, one in sections.items()],
    run={} if told is None else {"config": dict(told)},
    run_data=[],
    styles={},
    run_title="To repeat it",
  )
  return files.write_bytes(directory / name, page.encode())


def _training_sections(
  curves: Result,
  families: dict[str, dict[str, float]],
  chosen: dict[str, str],
  styles: dict[str, Style],
  stems: Sequence[str],
) -> dict[str, Section]:
  """File stem -> section: the networks, and what each choice of a network was made among."""
  passed_over = _passed_over(families, chosen)
  logged = [name for name in _networks(curves) if training_curves.is_logged(curves, name)]
  kept = [name for name in logged if name not in passed_over]
  sections = {TRAINING: training_curves.section(curves, styles, models=kept)} if kept else {}
  for stem, (family, ours) in zip(stems, families.items(), strict=True):
    models = [name for name in ours if name in logged]
    if len(models) > 1:
      of_family = training_curves.section(
        curves, styles, models=models, only=training_curves.PROBED
      )
      sections[stem] = dataclasses.replace(of_family, title=f"Training: {family}")
  return {stem: one for stem, one in sections.items() if one.pictures}


def _passed_over(families: dict[str, dict[str, float]], chosen: dict[str, str]) -> set[str]:
  """The networks that a choice was made among, but for the chosen ones."""
  return {name for family, ours in families.items() for name in ours if name != chosen[family]}


def _networks(curves: Result) -> tuple[str, ...]:
  return curves.layout.coordinates["model"]


def _metadata_of_all(results: Sequence[Result], key: str) -> dict[str, Any]:
  """What the studies that choose networks say of each family: its candidates, the chosen one."""
  return {
    family: said for result in results for family, said in result.metadata.get(key, {}).items()
  }


def _models(results: Sequence[Result], curves: Result) -> list[str]:
  """All models' names, those that most studies compare first: colours run out."""
  compared = [result for result in results if "families" not in result.metadata]
  names = [
    name
    for result in compared
    for axis in ("model", "source")
    for name in result.layout.coordinates.get(axis, ())
  ]
  families = [name for result in results for name in result.metadata.get("families", ())]
  return [*names, *families, *_networks(curves)]


def _with_names(sections: list[Section], results: Sequence[Result]) -> list[Section]:
  """Adds the study's name to a heading that would otherwise stand there twice."""
  titles = [section.title for section in sections]
  return [
    dataclasses.replace(section, title=f"{section.title}: {result.name}")
    if titles.count(section.title) > 1
    else section
    for section, result in zip(sections, results, strict=True)
  ]


def pictures_to_keep(of_each: Sequence[int], *, most: int = MOST_PICTURES) -> list[int]:
  """How many pictures of each section a small page has, so that none goes without before others.

  Args:
    of_each: how many each section has.
    most: how many the page may have.

  >>> pictures_to_keep([1, 0, 5, 2], most=6)
  [1, 0, 3, 2]
  """
  # All sections' first pictures, then their second ones, and so on.
  in_turn = sorted((place, i) for i, count in enumerate(of_each) for place in range(count))
  kept = Counter(i for _, i in in_turn[:most])
  return [kept[i] for i in range(len(of_each))]


def _in_few_bytes(section: Section, kept: int) -> Section:
  """Its first pictures in the smaller of their forms, and no sheet that says what arrays say."""
  pictures = []
  for picture in section.pictures[:kept]:
    # Maps and photos are mostly greys, and take the most bytes.
    webp = canvas.webp(picture.png, colours=32 if picture.inline == "png" else 64)
    inline: Literal["svg", "webp"] = "webp" if len(webp) < len(picture.svg) else "svg"
    pictures.append(dataclasses.replace(picture, webp=webp, inline=inline))
  sheets = [sheet for sheet in section.sheets if len(sheet.rows) <= MOST_ROWS]
  reading, left_out = section.reading, len(section.pictures) - kept
  if left_out:
    more = "one more figure" if left_out == 1 else f"{left_out} more figures"
    reading = f"{reading} This small report leaves {more} of this section out.".lstrip()
  return dataclasses.replace(section, reading=reading, pictures=pictures, sheets=sheets)


def _write_section(directory: Path, section: Section, stem: str, *, figures: bool) -> PlacedSection:
  pictures = []
  names = files.unique_slugs([picture.name for picture in section.pictures])
  for picture, name in zip(section.pictures, names, strict=True):
    links = []
    if figures:
      links = [
        _write(directory, f"figures/{stem}_{name}.svg", picture.svg),
        _write(directory, f"figures/{stem}_{name}.png", picture.png),
      ]
    pictures.append((picture, links))
  suffixes = [f"_{name}" for name in files.unique_slugs([sheet.name for sheet in section.sheets])]
  if len(suffixes) == 1:
    suffixes = [""]
  data = [
    _write(directory, f"data/{stem}{suffix}.csv", _csv(sheet))
    for sheet, suffix in zip(section.sheets, suffixes, strict=True)
  ]
  return PlacedSection(section, stem, pictures, data)


def _write_result(directory: Path, result: Result, stem: str, *, small: bool) -> list[Link]:
  kept = result_files(result, stem, small=small)
  return [_write(directory, path, content) for path, content in kept.items()]


def _with_data(placed: PlacedSection, links: Sequence[Link]) -> PlacedSection:
  return dataclasses.replace(placed, data=[*placed.data, *links])


def _write(directory: Path, path: str, content: bytes) -> Link:
  files.write_bytes(directory / path, content)
  return path.rsplit(".", 1)[1].upper(), path


def _csv(sheet: Sheet) -> bytes:
  return files.csv_text(sheet.header, sheet.rows).encode()
