"""A report drawn anew from its own data, and its claims judged anew.

Networks and data set are not needed: a report's folder keeps the arrays that it rests on in
`data/`, and the tables of its claims and of the paper's numbers beside the page.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from robust_saliency import report
from robust_saliency.core import checks
from robust_saliency.core.files import DamagedFileError
from robust_saliency.core.folders import refuse_linked_folders
from robust_saliency.core.settings import read
from robust_saliency.pipeline import later_findings
from robust_saliency.pipeline.imports import Import
from robust_saliency.pipeline.imports import check as check_imports
from robust_saliency.pipeline.judging import write_report
from robust_saliency.pipeline.settings import ExperimentSettings
from robust_saliency.pipeline.tables import Tables
from robust_saliency.report.findings import RUN
from robust_saliency.results.trends import TRENDS, trends_layout
from robust_saliency.studies import read_study
from robust_saliency.studies.selection import chosen_by


def redraw(
  folder: Path, out: Path | None = None, *, small: bool = False, imports: Sequence[Import] = ()
) -> Path:
  """Draws the report of a folder anew.

  Args:
    folder: of a report, such as an experiment's directory.
    out: where the new one goes; None for the same folder.
    small: whether the new one is fit for a repository; see `results.compact`.
    imports: the files that have registered methods of the user's own.

  Returns:
    The path of the new `report.html`.

  Raises:
    FileNotFoundError: if the folder has no report, or one of an earlier version.
    ValueError, TypeError: for a file of it that cannot be read.
    WorkdirError: naming the imports that are missing.
  """
  findings = report.read_findings(folder)
  check_imports(findings.run.get("imports", []), imports, folder)
  with checks.naming(str(folder / RUN)):
    settings: ExperimentSettings = read(ExperimentSettings, findings.run["config"], "config")
    studies = {name: read_study(name, given) for name, given in settings.studies.items()}
    tables = Tables(
      settings.claims,
      settings.published,
      folder=folder,
      dataset=findings.dataset,
      scale=findings.scale.split(",")[0],
      networks=[*settings.models, *chosen_by(studies, settings.models)],
      layouts={
        **{one.name: one.layout for one in (*findings.results, findings.curves)},
        TRENDS: trends_layout(findings.curves.layout),
      },
      checked=True,
    )
  for result in findings.results:
    if result.name not in studies or studies[result.name].kind != result.kind:
      raise DamagedFileError(
        f"{findings.paths[result.name]} must be of a study of the config in {RUN}, one of "
        f"{checks.listed(studies) or 'none'}, got {checks.shown(result.name)} ({result.kind[:60]})"
      )
  if small:
    kept = [studies[result.name].without_derived(result) for result in findings.results]
    findings = dataclasses.replace(findings, results=kept).compacted()
  out = out or folder
  refuse_linked_folders(out)
  tables.keep(out)
  if out != folder:
    later_findings.keep(folder, out)
  return write_report(out, findings, tables=tables, studies=studies, source=folder, small=small)
