"""The reports that are kept in the repository: small, and whole."""

import html
import json
import re
from pathlib import Path
from urllib.parse import unquote

import jax
import pytest

from robust_saliency.pipeline.redrawing import redraw

RESULTS = Path(__file__).parents[1] / "experiments" / "results"
REPORTS = sorted(RESULTS.glob("*/*/report.html"))
# The others were written by earlier versions.
REDRAWABLE = [report.parent for report in REPORTS if (report.parent / "data/training.npz").exists()]
MEGABYTE = 1_000_000


def size(folder: Path) -> int:
  return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.parent.name)
def test_a_kept_report_is_small(report):
  assert report.stat().st_size <= MEGABYTE
  # The largest has 17 studies, most of them of five networks a defence.
  assert size(report.parent) <= 2.7 * MEGABYTE


def test_all_kept_results_together_are_small():
  assert 0 < size(RESULTS) <= 12 * MEGABYTE


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.parent.name)
def test_every_link_of_a_kept_report_leads_somewhere(report):
  page = report.read_text(encoding="utf-8")
  anchors = {html.unescape(name) for name in re.findall(r'\bid="([^"]+)"', page)}
  for link in map(html.unescape, re.findall(r'\bhref="([^"]+)"', page)):
    if link.startswith("#"):
      assert unquote(link[1:]) in anchors, link
    else:
      assert (report.parent / unquote(link)).is_file(), link


def text_of(page):
  """A page without its drawings, which another matplotlib draws otherwise."""
  return re.sub(r'src="data:[^"]*"', "", page.read_text(encoding="utf-8"))


def leaves_of(path):
  """The values in a JSON file, and the tree that they are in."""
  return jax.tree.flatten(json.loads(path.read_text()))


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("folder", REDRAWABLE, ids=lambda folder: folder.name)
def test_a_kept_report_s_page_and_verdicts_follow_from_the_arrays_that_are_kept(folder, tmp_path):
  page = redraw(folder, tmp_path / "anew", small=True)
  assert text_of(page) == text_of(folder / "report.html")
  claims = "data/claims.json"
  known, tree = leaves_of(folder / claims)
  assert known
  drawn, tree_drawn = leaves_of(page.parent / claims)
  assert tree_drawn == tree
  # Versions of SciPy differ in the tenth digit of an interval.
  near = (pytest.approx(one, rel=1e-8, abs=0) if isinstance(one, float) else one for one in known)
  assert drawn == list(near)
