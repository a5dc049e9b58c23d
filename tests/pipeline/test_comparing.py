"""Several finished runs in one table, as the command prints and writes it."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from absl.testing import flagsaver

from robust_saliency import command_line, compare
from robust_saliency.pipeline.comparing import compare_runs
from robust_saliency.report.findings import read_findings

RESULTS = Path(__file__).parents[2] / "experiments" / "results"
DEMO, OTHER = RESULTS / "digits" / "demo", RESULTS / "kim2019" / "boundary"


@pytest.fixture
def changed(tmp_path):
  """A copy of the demo's report: other epochs, and the first ten images of `pgd` wrong."""
  folder = shutil.copytree(DEMO, tmp_path / "changed")
  edit(folder, lambda run: run["config"]["models"]["pgd"].update(epochs=99))
  path = folder / "data/accuracy.npz"
  arrays = dict(np.load(path))
  arrays["correct"][1, :, :10] = False
  np.savez(path, **arrays)
  return folder


def edit(folder, change):
  path = folder / "data/run.json"
  run = json.loads(path.read_text())
  change(run)
  path.write_text(json.dumps(run))


@pytest.mark.usefixtures("changed")
def test_the_command_prints_80_columns_and_writes_a_page_and_a_table(tmp_path, monkeypatch, capsys):
  out = tmp_path / "out"
  # Whatever a path is long.
  monkeypatch.chdir(tmp_path)
  shutil.copytree(DEMO, tmp_path / "demo")
  given = ["demo", "changed", f"--out={out}", "--studies=accuracy,readability"]
  monkeypatch.setattr(sys, "argv", ["compare", *given])
  monkeypatch.setenv("ROBUST_SALIENCY_COMPILATION_CACHE", "off")
  with flagsaver.flagsaver(), pytest.raises(SystemExit) as stopped:
    command_line.run(compare.COMMAND)
  assert not stopped.value.code
  lines = capsys.readouterr().out.splitlines()
  assert max(map(len, lines)) <= 80
  start = lines.index("Where the configs differ:")
  assert lines[start + 1 : start + 5] == ["  models.pgd.epochs", "    A  30", "    B  99", ""]
  page = (out / "report.html").read_text()
  assert page.count("models.pgd.epochs") == 1
  assert "Claims" not in page

  with (out / "data/comparison.csv").open() as file:
    rows = {(r["array"], r["network"], r["run"]): r for r in csv.DictReader(file)}
  assert {array for array, *_ in rows} == {
    "correct", "total_variation", "gini", "alignment", "is_zero"
  }  # fmt: skip
  known = {r.name: r for r in read_findings(DEMO).results}
  ours, theirs = known["accuracy"].at("correct", model="pgd"), rows["correct", "pgd", "B"]
  wrong = ours.copy()
  wrong[:, :10] = False
  assert float(theirs["value"]) == pytest.approx(wrong.mean())
  assert float(theirs["difference value"]) == pytest.approx(wrong.mean() - ours.mean())
  assert float(theirs["difference high"]) < 0
  assert theirs["paired"] == "True"
  gini = rows["gini", "both", "A"]
  assert float(gini["value"]) == pytest.approx(known["readability"].at("gini", model="both").mean())
  assert float(gini["low"]) < float(gini["value"]) < float(gini["high"])


@pytest.mark.parametrize(
  ("workdirs", "studies", "sentence"),
  [
    ([DEMO], (), "give 2 to 26 directories of finished runs, got 1"),
    ([DEMO, DEMO.parent / ".." / "digits" / "demo"], (), "of different runs"),
    ([DEMO, RESULTS], (), "has no report"),
    ([DEMO, OTHER], ["acuracy"], r"studies must be one of .* \(did you mean 'accuracy'"),
    ([DEMO, OTHER], ["boundary"], "no other run has a study, a network and a quantity in common"),
  ],
)
def test_runs_that_do_not_fit_together_are_refused_in_a_sentence(workdirs, studies, sentence):
  with pytest.raises((ValueError, FileNotFoundError), match=sentence) as error:
    compare_runs(workdirs, studies=studies, command="")
  assert "\n" not in str(error.value)


def test_other_images_under_one_name_are_not_paired(changed, tmp_path):
  other = shutil.copytree(changed, tmp_path / "other")
  for folder, digest in ((changed, "a"), (other, "b")):
    edit(folder, lambda run, digest=digest: run.update(data=digest))
  text = compare_runs([changed, other], studies=["accuracy"], command="")
  assert "B is not of A's data set." in text
  # A report of an earlier version does not say which images its own were.
  edit(other, lambda run: run.pop("data"))
  text = compare_runs([changed, other], studies=["accuracy"], command="")
  assert "not of A's data set" not in text


def test_other_images_and_other_kinds_of_a_study_are_said(changed):
  edit(changed, lambda run: run["config"]["dataset"].update(validation=7))
  path = changed / "data/readability.json"
  path.write_text(path.read_text().replace('"map_quality"', '"gradients"'))
  text = compare_runs([DEMO, changed], studies=["accuracy", "readability"], command="")
  assert "B is not of A's data set." in text
  assert "The study readability is left out: it is map_quality in A, gradients in B." in text
  assert "readability:" not in text
  assert "~−" in text  # no longer paired


def test_a_stranger_s_names_reach_neither_the_terminal_nor_the_page_as_what_they_are_not(
  changed, tmp_path
):
  evil = "\x1b[2J<script>"
  edit(changed, lambda run: run["config"]["models"].update({evil: {"epochs": 1}}))
  for name in ("accuracy", "training"):
    path = changed / f"data/{name}.json"
    path.write_text(path.read_text().replace('"standard"', json.dumps(evil)))
  out = tmp_path / "out"
  text = compare_runs([changed, DEMO], studies=["accuracy"], out=out, command="")
  assert text.replace("\n", "").isprintable()
  assert "<script>" in text
  assert "<script>/" not in (page := (out / "report.html").read_text())
  assert "&lt;script&gt;" in page
