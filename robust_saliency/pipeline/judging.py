"""From what an experiment has found to its report: the claims judged, each study's page drawn.

What `evaluate` and `explain` have left in the same directory is shown, too, and people's votes that
`user_study` has counted, of which claims may ask.
"""

from collections.abc import Mapping
from pathlib import Path

from robust_saliency import report
from robust_saliency.core import records
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.pipeline import later_findings
from robust_saliency.pipeline.tables import Tables
from robust_saliency.report.folder import VOTES
from robust_saliency.results.result import Result
from robust_saliency.results.trends import TRENDS, trends
from robust_saliency.studies import Study


def write_report(
  directory: Path,
  findings: report.Findings,
  *,
  tables: Tables,
  studies: Mapping[str, Study],
  source: Path | None = None,
  small: bool = False,
) -> Path:
  """Judges the claims and writes the report.

  Args:
    directory: where it goes.
    findings: what was found.
    tables: the claims, and the paper's own numbers.
    studies: the settings of each study, of which those in `findings` are drawn.
    source: the folder that findings were read from; None for `directory`.
    small: as of `report.write`.

  Returns:
    The path of `report.html`.
  """
  results = {result.name: result for result in findings.results}
  known = {
    **results,
    findings.curves.name: findings.curves,
    TRENDS: trends(findings.curves),
  }
  counted = later_findings.votes(directory)
  votes = {name: result for name, (result, _) in counted.items()}
  more = {f"{VOTES}{name}": section for name, (_, section) in counted.items()}
  # Whatever the files are that results were read from.
  with records.understanding(f"the report of {source or directory} cannot be drawn"):
    return report.write(
      directory,
      findings,
      claims=tables.judge(known, diverged=set(findings.diverged), votes=votes),
      nearness=tables.nearness(results),
      pages={
        name: _beside_the_paper(studies[name], tables, findings.paths.get(name, name))
        for name in results
      },
      more={**later_findings.sections(directory), **more},
      small=small,
    )


def _beside_the_paper(study: Study, tables: Tables, path: Path | str) -> report.Page:
  """The study's page, with the paper's own numbers where it draws them."""

  def page(result: Result, styles: Mapping[str, Style]) -> Section:
    with records.understanding(f"the study in {path} cannot be drawn"):
      return study.page(tables.published.beside(result) if tables.published else result, styles)

  return page
