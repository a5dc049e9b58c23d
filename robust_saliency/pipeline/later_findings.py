"""What the commands have found that look at a finished run, as sections of its page.

They leave files in `evaluations/`, `explanations/` and `user_studies/` of its directory, which may
be somebody else's: whatever cannot be read is left out, with a sentence.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from robust_saliency.attacks.evaluation.evaluate_attacks import COLUMNS
from robust_saliency.core import checks, files, records
from robust_saliency.drawing.formatting import norm, percent, short
from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.pipeline import explanations, stage, vote_counts
from robust_saliency.pipeline.evaluations import FOLDER as EVALUATIONS
from robust_saliency.pipeline.stages import folder_of_network
from robust_saliency.results.result import Result

T = TypeVar("T")

MOST_IMAGES = 100  # of a panel
EXPLANATIONS = explanations.FOLDER
_OF_NETWORK: dict[str, records.Form] = {
  **dict.fromkeys(("model", "network"), records.TEXT),
  "seed": records.COUNT,
}
_EVALUATION: dict[str, records.Form] = {
  **_OF_NETWORK,
  "norm": records.TEXT,
  "examples": records.COUNT,
  "epsilon": records.NUMBER,
  "table": records.Each(records.LIST, dict.fromkeys(COLUMNS, records.VALUE)),
  "warnings": records.Each(records.FIELDS, records.Each(records.LIST, records.TEXT)),
}


def sections(workdir: Path) -> dict[str, Section]:
  """Stem of its files -> section, of those that there are but for people's votes.

  Args:
    workdir: a run's directory, without links to folders.
  """
  found = {
    EVALUATIONS: _evaluations(_read(workdir, EVALUATIONS, "*/*.json", _evaluation)),
    EXPLANATIONS: _explanations(_read(workdir, EXPLANATIONS, "*.json", _explanation)),
  }
  return {stem: section for stem, section in found.items() if section is not None}


def keep(workdir: Path, out: Path) -> None:
  """Copies what can be read of it into another directory, whose report shows it, too.

  Args:
    workdir: a run's directory, without links to folders.
    out: the other one, without such links, either.
  """
  evaluations = _read(workdir, EVALUATIONS, "*/*.json", _evaluation)
  # Whether they can be drawn is seen where they are.
  panels = _read(workdir, EXPLANATIONS, "*.json", explanations.read_explanation)
  for path in [*evaluations, *panels, *(path.with_suffix(".npz") for path in panels)]:
    content = files.read_verified(path, most=files.LARGEST_TEXT)
    files.write_with_digest(out / path.relative_to(workdir), content)
  vote_counts.keep_counts(workdir, out)


def votes(workdir: Path) -> dict[str, tuple[Result, Section]]:
  """Questionnaire -> the counted votes on it, and their section.

  Args:
    workdir: a run's directory, without links to folders.
  """
  found = {}
  for name, counted in vote_counts.read_counts(workdir).items():
    if isinstance(counted, files.DamagedFileError):
      _say_left_out(counted)
    else:
      found[name] = counted
  return found


def _read(workdir: Path, folder: str, pattern: str, read: Callable[[Path], T]) -> dict[Path, T]:
  found = {}
  for path in sorted((workdir / folder).glob(pattern)):
    try:
      with records.understanding(f"{path} cannot be read"):
        _refuse_outdated(workdir, path)
        found[path] = read(path)
    except (files.DamagedFileError, OSError) as error:
      _say_left_out(error)
  return found


def _say_left_out(error: Exception) -> None:
  # Names of files, too, may be a stranger's.
  print(checks.printable(f"left out of the report: {error}"), file=sys.stderr)


def _refuse_outdated(workdir: Path, path: Path) -> None:
  """Raises where a network has been trained anew since, or for another data set."""
  about = records.read_record(path, _OF_NETWORK)
  folder = workdir / folder_of_network(about["model"], about["seed"])
  if stage.is_outdated(folder, about["network"]):
    raise files.DamagedFileError(
      f"{path} is of a network {about['model']!r} that has been trained anew since; give the "
      "command again"
    )


def _evaluation(path: Path) -> dict[str, Any]:
  about = records.read_record(path, _EVALUATION)
  if not about["table"]:
    raise ValueError("table must have at least one row")
  for row in about["table"]:
    checks.text(attack=row["attack"])
    checks.scalar(accuracy=row["accuracy"])
    checks.fraction(accuracy=row["accuracy"])
  short(about["epsilon"]), norm(about["norm"])
  return about


def _explanation(path: Path) -> tuple[dict[str, Any], Picture]:
  about, arrays = explanations.read_explanation(path)
  if len(arrays["images"]) > MOST_IMAGES:
    raise ValueError(f"it has {len(arrays['images'])} images, and a page at most {MOST_IMAGES}")
  picture = explanations.draw(arrays, about["methods"], about["classes"])
  return about, dataclasses.replace(
    picture, name=about["model"], caption=f"{about['model']}: {picture.caption}"
  )


def _evaluations(found: Mapping[Path, dict[str, Any]]) -> Section | None:
  if not found:
    return None
  alike: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
  for path, about in found.items():
    threat = about["norm"], about["epsilon"], about["examples"]
    alike.setdefault((path.parent, *threat), []).append(about)
  return Section(
    title="Evaluations by command",
    reading=(
      "By the command evaluate, since the run: accuracy in per cent of the network of the "
      "first seed under each attack, and where all of them fail (worst case)."
    ),
    tables=[
      table for abouts in alike.values() for table in (_accuracies(abouts), _warnings(abouts))
    ],
    sheets=[
      Sheet(
        EVALUATIONS,
        ["model", "seed", "norm", "epsilon", "examples", *COLUMNS],
        [
          [about[field] for field in ("model", "seed", "norm", "epsilon", "examples")]
          + [row[column] for column in COLUMNS]
          for about in found.values()
          for row in about["table"]
        ],
      )
    ],
  )


def _accuracies(abouts: list[dict[str, Any]]) -> Table:
  rows = [{row["attack"]: row["accuracy"] for row in about["table"]} for about in abouts]
  names = list(dict.fromkeys(name for row in rows for name in _whole(row)))
  first = abouts[0]
  return Table(
    caption=(
      f"Accuracy in per cent on {first['examples']:,} test images, "
      f"ε = {short(first['epsilon'])}, {norm(first['norm'])}."
    ),
    columns=["Network", *("clean" if name == "none" else name for name in names)],
    groups=[
      RowGroup(
        [
          Row(about["model"], [percent(row[name]) if name in row else "" for name in names])
          for about, row in zip(abouts, rows, strict=True)
        ]
      )
    ],
  )


def _whole(row: Mapping[str, float]) -> Iterator[str]:
  """The attacks without those that are members of another, AutoAttack's."""
  for name in row:
    if not any(name.startswith(f"{other}/") for other in row):
      yield name


def _warnings(abouts: list[dict[str, Any]]) -> Table:
  return Table(
    caption="What looked wrong.",
    prose=True,
    columns=["Network", "What was seen"],
    groups=[
      RowGroup(
        [
          Row(about["model"], [sentence])
          for about in abouts
          for sentence in (
            [one for sentences in about["warnings"].values() for one in sentences]
            or ["no sign of masked gradients or of a failing attack"]
          )
        ]
      )
    ],
  )


def _explanations(found: Mapping[Path, tuple[dict[str, Any], Picture]]) -> Section | None:
  if not found:
    return None
  return Section(
    title="Explanations by command",
    reading=(
      "By the command explain, since the run: maps of the true classes of test images by the "
      "network of the first seed, one method a row."
    ),
    pictures=[picture for _, picture in found.values()],
  )
