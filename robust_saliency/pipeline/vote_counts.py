"""Votes counted: from files that anybody may have written to arrays, a page and a figure."""

import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from robust_saliency import report
from robust_saliency.core import checks, files, folders, records
from robust_saliency.core.files import DamagedFileError
from robust_saliency.drawing.section import Section
from robust_saliency.pipeline import stage
from robust_saliency.pipeline.questionnaires import (
  ARRAYS,
  USER_STUDIES,
  folder_of,
  read_questionnaire,
)
from robust_saliency.results import files as result_files
from robust_saliency.results.result import Result
from robust_saliency.studies import votes
from robust_saliency.studies.votes import gee
from robust_saliency.studies.votes import tables as vote_tables
from robust_saliency.studies.votes.tally import FOOLED, REASONABLE

_DRAWN_FROM = {"drawn_from": records.Each(records.FIELDS, records.TEXT)}
PAGE, NUMBERS = "votes.html", "votes.json"
_SAID = "Claims about votes stand in the run’s report.html, once redraw has drawn it anew."


@dataclasses.dataclass(frozen=True)
class Counted:
  """What `count_votes` has done.

  Attributes:
    page: the page's path.
    result: the counts.
    refused: a sentence for each file whose votes do not count.
  """

  page: Path
  result: Result
  refused: tuple[str, ...]


def count_votes(workdir: Path, name: str, paths: Sequence[Path], *, command: str) -> Counted:
  """Counts the votes on a questionnaire; earlier counts are replaced.

  Args:
    workdir: of the run.
    name: the questionnaire's.
    paths: files of votes, in any order; of two of one participant the first counts.
    command: the command line, for the page.

  Raises:
    FileNotFoundError: if there is no questionnaire of that name.
    ValueError: if no votes can be counted, with what is wrong with each file.
  """
  folders.refuse_linked_folders(workdir)
  asked = read_questionnaire(workdir, name)
  ballots: list[votes.Ballot] = []
  voted: dict[str, str] = {}
  refused: list[str] = []
  for path in dict.fromkeys(paths):
    try:
      ballot = votes.read_ballot(path, asked, voted)
    except (DamagedFileError, OSError) as error:
      refused.append(checks.printable(str(error)))
      continue
    voted[ballot.participant] = path.name
    ballots.append(ballot)
  if not ballots:
    why = "; ".join(refused) or "no file was given"
    raise ValueError(f"there are no votes that can be counted: {why}")
  # So that the order of the files changes nothing.
  ballots.sort(key=lambda ballot: ballot.participant)
  result = votes.tally(asked, ballots)
  result = dataclasses.replace(result, metadata={**result.metadata, "gee": _gee(result)})
  folder = folder_of(workdir, name)
  result_files.save_result(result, folder / ARRAYS, identity=asked.identity)
  numbers = {**votes.summarise(result).as_json(), "refused": refused}
  files.write_with_digest(folder / NUMBERS, files.json_text(numbers).encode())
  section = votes.section(result)
  if refused:
    tables = [*section.tables, vote_tables.refused(refused)]
    section = dataclasses.replace(section, tables=tables)
  page = report.write_sections(
    folder,
    {Path(PAGE).stem: section},
    title="Votes",
    command=command,
    summary=_SAID,
    name=PAGE,
    told={name: result.metadata[name] for name in ("design", "axis", "source", "identity")},
  )
  return Counted(page, result, tuple(refused))


def read_counts(workdir: Path) -> dict[str, tuple[Result, Section] | DamagedFileError]:
  """Questionnaire -> what was counted and its section, or why it cannot be read, of a run."""
  found: dict[str, tuple[Result, Section] | DamagedFileError] = {}
  for path in sorted((workdir / USER_STUDIES).glob(f"*/{ARRAYS}/{result_files.ABOUT}")):
    name = path.parent.parent.name
    try:
      folder_of(workdir, name)
      result = result_files.read_result(path.parent)
      with records.understanding(f"{path} cannot be drawn"):
        if result.kind != votes.VOTES or result.name != name:
          raise ValueError(f"it is of {checks.shown(result.name)} ({checks.shown(result.kind)})")
        _refuse_outdated(workdir, name, result)
        found[name] = result, votes.section(result)
    except (ValueError, OSError) as error:
      damaged = error if isinstance(error, DamagedFileError) else DamagedFileError(str(error))
      found[name] = damaged
  return found


def keep_counts(source: Path, out: Path) -> None:
  """Copies the counts of one directory into another, whose report is drawn from them, too."""
  for name, counted in read_counts(source).items():
    if not isinstance(counted, DamagedFileError):
      result, _ = counted
      identity = str(result.metadata.get("identity", ""))
      result_files.save_result(result, folder_of(out, name) / ARRAYS, identity=identity)


def _refuse_outdated(workdir: Path, name: str, result: Result) -> None:
  """Raises for votes on pictures of what has been trained or measured anew since."""
  records.check_fields(dict(result.metadata), _DRAWN_FROM, "its metadata")
  for folder, fingerprint in result.metadata["drawn_from"].items():
    if not re.fullmatch(r"(models|studies)(/\w[\w-]*)+", folder, re.ASCII):
      raise ValueError(f"drawn_from must name folders of networks and studies, got {folder!r:.80}")
    if stage.is_outdated(workdir / folder, fingerprint):
      raise ValueError(
        f"it counts votes on pictures from {folder}, which has been computed anew since; make "
        f"another questionnaire, or delete {folder_of(workdir, name)}"
      )


def _gee(result: Result) -> dict[str, Mapping[str, Any]]:
  axis = result.metadata["axis"]
  compared = result.layout.coordinates[axis]
  if result.metadata["design"] == votes.FORCED_CHOICE:
    chosen = result.arrays["chosen"]
    return {
      name: gee.compare(chosen[c][None], reference=1 / len(compared))
      for c, name in enumerate(compared)
    }
  return {
    f"{compared[a]} − {compared[b]}, {score}": gee.compare(result.arrays[f"{score}_at"][[a, b]])
    for score in (FOOLED, REASONABLE)
    for a, b in itertools.combinations(range(len(compared)), 2)
  }
