"""The kept reports, as files of the site: each page, and what it links to."""

import shutil
from pathlib import Path

from sphinx.application import Sphinx

from docs.building.findings import RESULTS


def copy_reports(to: Path) -> None:
  """Copies every kept report with the tables, arrays and figures beside it."""
  for report in sorted(RESULTS.glob("*/*/report.html")):
    folder = to / report.parent.relative_to(RESULTS)
    shutil.copytree(report.parent, folder, dirs_exist_ok=True)


def _finished(app: Sphinx, error: Exception | None) -> None:
  if error is None:
    copy_reports(Path(app.outdir) / "results")


def setup(app: Sphinx) -> None:
  """Copies them once the pages are there."""
  app.connect("build-finished", _finished)
