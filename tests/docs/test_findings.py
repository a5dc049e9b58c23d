"""What the site says of the kept reports is what is stored beside them."""

import csv
import doctest
from collections import Counter

import pytest

from docs.building import findings, texts

PAPERS = sorted(path.name for path in findings.RESULTS.iterdir() if path.is_dir())


@pytest.mark.parametrize("paper", PAPERS)
def test_every_stored_claim_is_told_with_its_verdict(paper):
  told = findings.markdown(paper, reports="results")
  runs = findings.kept_runs(paper)
  assert runs
  for run in runs:
    # The table beside the page is written apart from the JSON that the site reads.
    with (run / "data" / "claims.csv").open(encoding="utf-8", newline="") as file:
      rows = list(csv.DictReader(file))
    (part,) = (text for text in told.split("**") if f"results/{paper}/{run.name}/" in text)
    for verdict, number in Counter(row["verdict"] for row in rows).items():
      assert f"{number} {verdict}" in part
      assert part.count(f"*{verdict}*: ") == number
    plain = part.replace("\\", "")
    for row in rows:
      assert (row.get("says") or row["statement"]) in plain
    assert (findings.RESULTS / paper / run.name / "report.html").exists()


def test_a_paper_without_a_kept_run_says_so():
  assert findings.markdown("nothing", reports="results") == "No run of it is kept."
  assert texts.experiment("nothing").startswith("There is no experiment")


def test_an_experiments_docstring_loses_no_word():
  told = texts.experiment("ross2018").replace("\\", "")
  for word in ("robust_saliency.data prepare mnist", "`main`", "per example, as in the paper's"):
    assert word in told
  assert told.count("```text") == 2
  assert told.count("```") == 4


def test_versions_are_those_of_the_lock_files():
  told = texts.versions()
  for lock in texts.LOCKS:
    lines = (texts.ROOT / "requirements" / lock).read_text().splitlines()
    jax = next(line for line in lines if line.startswith("jax=="))
    assert jax.replace("==", " ") in told


def test_examples_in_docstrings_run():
  assert doctest.testmod(texts).failed == 0
