"""Several finished runs in one table: what each network's quantities are, and how they differ.

Only what reports keep is read, by the reader with which they are drawn anew; no network, no data
set and no method of a run's own is needed.
"""

import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robust_saliency import report
from robust_saliency.core import checks, records
from robust_saliency.core.folders import refuse_linked_folders
from robust_saliency.report import comparison
from robust_saliency.results.comparison import Run, compare

MOST = len(string.ascii_uppercase)
# What a config says of itself, and settings do not.
_WORDS = ("title", "summary")


def compare_runs(
  workdirs: Sequence[Path], *, studies: Sequence[str] = (), out: Path | None = None, command: str
) -> str:
  """Compares the runs in several directories.

  Args:
    workdirs: of finished runs, or of reports that a repository keeps; differences are from the
      first.
    studies: the names of the studies to look at; none for all.
    out: where a page and a CSV file go; None for nowhere.
    command: the command line, repeated in the page.

  Returns:
    The comparison as text.

  Raises:
    ValueError: for too few or too many directories, the same one twice, a study that none has, or
      runs that have measured nothing of the same network; for a file that cannot be read.
    FileNotFoundError: for a directory without a report.
  """
  _check(workdirs)
  found = [report.read_findings(workdir) for workdir in workdirs]
  known = dict.fromkeys(result.name for one in found for result in one.results)
  for name in studies:
    checks.one_of(name, known, argument="studies")
  letters = string.ascii_uppercase
  sides = [
    comparison.Side(letters[i], str(workdir), _about(one), _settings(one))
    for i, (workdir, one) in enumerate(zip(workdirs, found, strict=True))
  ]
  notes, other = _of_one_kind(sides, found)
  # What lies under one name may have changed. Reports of earlier versions do not say.
  digests = [one.run.get("data") for one in found]
  if None in digests:
    digests = [None] * len(found)
  images = [
    (one.dataset, one.run["config"].get("dataset"), digest)
    for one, digest in zip(found, digests, strict=True)
  ]
  runs = [
    Run({r.name: r for r in one.results if r.name not in other}, images[i])
    for i, one in enumerate(found)
  ]
  for side, of_side in zip(sides[1:], images[1:], strict=True):
    if of_side != images[0]:
      notes.append(f"{side.letter} is not of {sides[0].letter}'s data set.")
  with records.understanding(f"{_listed(workdirs)} cannot be compared"):
    compared = compare(runs, studies)
    if not any(one is not None for of_one in compared for one in of_one.differences):
      raise ValueError(
        "no other run has a study, a network and a quantity in common with the first, which has "
        f"the studies {checks.listed(runs[0].results) or 'none'}"
      )
    if out is not None:
      refuse_linked_folders(out)
      report.write_sections(
        out,
        comparison.sections(sides, compared, notes),
        title=f"{len(sides)} runs compared",
        command=command,
        summary=comparison.summary(sides, compared),
      )
    return comparison.text(sides, compared, notes)


def _check(workdirs: Sequence[Path]) -> None:
  if not 2 <= len(workdirs) <= MOST:
    raise ValueError(f"give 2 to {MOST} directories of finished runs, got {len(workdirs)}")
  known: dict[Path, Path] = {}
  for workdir in workdirs:
    if (place := workdir.resolve()) in known:
      raise ValueError(f"directories must be of different runs, got {known[place]} and {workdir}")
    known[place] = workdir


def _about(findings: report.Findings) -> dict[str, str]:
  seeds = findings.curves.layout.coordinates.get("seed", ())
  diverged = checks.listed(findings.diverged)
  return {
    "Title": findings.title,
    "Scale": findings.scale,
    "Data set": findings.dataset,
    "Seeds": ", ".join(map(str, seeds)),
    "Date": str(findings.run.get("date") or ""),
    "Diverged": diverged,
  }


def _settings(findings: report.Findings) -> dict[str, Any]:
  config = findings.run["config"]
  return {name: value for name, value in config.items() if name not in _WORDS}


def _of_one_kind(
  sides: Sequence[comparison.Side], found: Sequence[report.Findings]
) -> tuple[list[str], set[str]]:
  """A sentence for each study whose name means other kinds in other runs, and their names."""
  kinds: dict[str, dict[str, str]] = {}
  for side, findings in zip(sides, found, strict=True):
    for result in findings.results:
      kinds.setdefault(result.name, {})[side.letter] = result.kind
  sentences, other = [], set[str]()
  for name, of_runs in kinds.items():
    if len({*of_runs.values()}) > 1:
      said = ", ".join(f"{kind} in {letter}" for letter, kind in of_runs.items())
      sentences.append(f"The study {name} is left out: it is {said}.")
      other.add(name)
  return sentences, other


def _listed(workdirs: Sequence[Path]) -> str:
  return " and ".join(map(str, workdirs))
