import csv
import dataclasses
import json

import numpy as np
import pytest

from robust_saliency import report
from robust_saliency.results.result import Result
from robust_saliency.studies import training as training_curves
from robust_saliency.studies.selection import Selection


def with_findings(arguments, **changed):
  return {**arguments, "findings": dataclasses.replace(arguments["findings"], **changed)}


def contents(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
  }


def test_the_folder_holds_exactly_these_files(page):
  figures = (
    "robust-ness_fgsm",
    "robust-ness_pgd-l2",
    "transfer_fgsm-0-2",
    "gradients_examples-1-to-3",
    "training_loss",
    "training_accuracy",
  )
  studies = ("clean", "robust-ness", "transfer", "gradients")
  assert set(contents(page.parent)) == {
    "report.html",
    *(f"figures/{figure}.{kind}" for figure in figures for kind in ("svg", "png")),
    *(f"data/{study}.{kind}" for study in studies for kind in ("csv", "json", "npz")),
    *("data/claims.csv", "data/claims.json", "data/run.json"),
    *(f"data/training.{kind}" for kind in ("csv", "json", "npz")),
  }


def test_equal_runs_give_equal_bytes(tmp_path, page, arguments):
  again = report.write(tmp_path / "again", **arguments)
  assert contents(again.parent) == contents(page.parent)


@pytest.mark.slow
def test_another_date_and_other_times_change_the_page_and_the_runs_file_alone(
  tmp_path, page, arguments
):
  run = {**arguments["findings"].run, "date": "2001-02-03", "wall_seconds": {"report": 9.0}}
  again = report.write(tmp_path / "again", **with_findings(arguments, run=run))
  first, second = contents(page.parent), contents(again.parent)
  assert {name for name in first if first[name] != second[name]} == {"report.html", "data/run.json"}


def test_the_archive_holds_the_studys_arrays(page, robustness):
  with np.load(page.parent / "data/robust-ness.npz", allow_pickle=False) as loaded:
    assert loaded.files == ["correct"]
    np.testing.assert_array_equal(loaded["correct"], robustness.arrays["correct"])
  described = json.loads((page.parent / "data/robust-ness.json").read_text())
  assert described["name"] == "robust/ness"
  assert described["layout"]["coordinates"]["epsilon"] == [0.0, 0.1, 0.2]
  assert described["arrays"] == {"correct": {"shape": [2, 2, 2, 3, 10], "dtype": "|b1"}}


def test_the_claims_are_there_for_programs_too(page, claims):
  with open(page.parent / "data/claims.csv", newline="") as file:
    rows = list(csv.DictReader(file))
  assert [row["verdict"] for row in rows] == [
    *("supported", "refuted", "undecided", "holds in this run")
  ]
  assert float(rows[0]["value"]) == claims[0].estimate.value
  assert json.loads((page.parent / "data/claims.json").read_text())[2]["low"] is None


def test_two_studies_of_one_kind_or_of_one_name_stay_apart(tmp_path, arguments, accuracy):
  results = [accuracy, accuracy, dataclasses.replace(accuracy, name="run")]
  pages = {**arguments["pages"], "run": arguments["pages"]["clean"]}
  page = report.write(tmp_path, **{**with_findings(arguments, results=results), "pages": pages})
  names = {name for name in contents(tmp_path) if name.endswith(".npz")}
  studies = {"data/clean.npz", "data/clean-2.npz", "data/run-2.npz"}
  assert names == studies | {"data/training.npz"}
  text = page.read_text()
  assert "Clean accuracy: clean" in text
  assert "Clean accuracy: run" in text


def test_a_claim_without_a_verdict_leaves_an_earlier_report_as_it_was(page, arguments):
  before = contents(page.parent)
  broken = dataclasses.replace(arguments["claims"][0], verdict="proved")
  with pytest.raises(ValueError, match=r"must be one of supported, .*; got 'proved'"):
    report.write(page.parent, **{**with_findings(arguments, title="Other"), "claims": [broken]})
  assert contents(page.parent) == before


def test_an_experiment_without_studies_claims_or_training_has_a_report(tmp_path, arguments):
  nothing = with_findings(arguments, results=[], curves=training_curves.training_curves({}, [0]))
  page = report.write(tmp_path, **{**nothing, "claims": []})
  assert "This experiment makes no claims." in page.read_text()


def test_candidates_of_a_choice_have_training_curves_of_their_own_in_the_page_s_colours(
  tmp_path, arguments, monkeypatch
):
  models = ["plain", "GR 1", "GR 10"]
  families = {"GR": {"GR 1": 1.0, "GR 10": 10.0}}
  study = Selection(
    families=families, reference="plain", source="source", attack={"name": "fgsm"}, epsilon=0.2
  )
  metadata = {
    "families": families,
    "chosen": {"GR": "GR 10"},
    "eligible": models[1:],
    "reference": "plain",
    "source": "source",
    "attack": {"name": "selection", "label": "FGSM", "norm": "linf"},
    "epsilon": 0.2,
    "keep": 0.97,
  }
  arrays = {name: np.ones((3, 1, 5), bool) for name in ("clean", "attacked")}
  arrays["best"] = np.ones((2, 1, 2), bool)
  layout = study.layout((), (0,), dataset=None)
  choice = Result("lambda", "selection", layout, arrays, metadata)
  rows = [{"seed": 0, "step": step, "loss": 1.0, "probe_accuracy": 0.5} for step in (1, 2)]
  training = dict.fromkeys(("source", *models), rows)
  drawn = []
  section = training_curves.section

  def spied(curves, styles, *, models, **which):
    drawn.append({name: styles[name] for name in models})
    return section(curves, styles, models=models, **which)

  monkeypatch.setattr(training_curves, "section", spied)
  curves = training_curves.training_curves(training, [0])
  given = with_findings(arguments, results=[choice], curves=curves)
  report.write(tmp_path, **{**given, "pages": {"lambda": study.page}})
  networks, candidates = drawn
  assert networks["GR 10"] == candidates["GR 10"]
  assert len({style.colour for style in (*networks.values(), candidates["GR 1"])}) == 4
  with open(tmp_path / "data/training.csv", newline="") as file:
    assert {row["model"] for row in csv.DictReader(file)} == {"source", "plain", "GR 10"}
  with open(tmp_path / "data/training-gr.csv", newline="") as file:
    of_family = list(csv.DictReader(file))
  assert {row["model"] for row in of_family} == {"GR 1", "GR 10"}
  assert "loss" not in of_family[0]


def test_what_a_report_keeps_is_what_it_was_made_of(page, arguments):
  again = report.read_findings(page.parent)
  was = arguments["findings"]
  for name in ("title", "command", "summary", "scale", "dataset", "diverged", "run"):
    assert getattr(again, name) == getattr(was, name)
  for known, given in zip([*was.results, was.curves], [*again.results, again.curves], strict=True):
    assert (given.name, given.kind, given.layout) == (known.name, known.kind, known.layout)
    for name, array in known.arrays.items():
      np.testing.assert_array_equal(given.arrays[name], array)
      assert given.arrays[name].dtype == array.dtype


@pytest.mark.slow
def test_a_small_report_drawn_anew_from_what_it_keeps_is_equal_byte_for_byte(tmp_path, arguments):
  small = {**arguments, "findings": arguments["findings"].compacted(), "small": True}
  first = report.write(tmp_path / "first", **small)
  assert not (first.parent / "figures").exists()
  again = {**small, "findings": report.read_findings(first.parent)}
  second = report.write(tmp_path / "second", **again)
  assert contents(second.parent) == contents(first.parent)


def test_a_report_of_an_earlier_version_is_refused_by_a_sentence(page):
  run = page.parent / "data/run.json"
  run.write_text(json.dumps({"title": "Old", "config": {}}))
  with pytest.raises(FileNotFoundError, match="report of an earlier version"):
    report.read_findings(page.parent)
  run.write_text("{")
  with pytest.raises(ValueError, match=r"run\.json must hold fields in JSON"):
    report.read_findings(page.parent)


def test_an_archive_that_does_not_belong_to_its_description_is_refused(page):
  data = page.parent / "data"
  (data / "clean.npz").write_bytes((data / "transfer.npz").read_bytes())
  with pytest.raises(ValueError, match=r"clean\.json does not describe what clean\.npz holds"):
    report.read_findings(page.parent)
