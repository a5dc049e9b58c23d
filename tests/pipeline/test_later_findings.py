"""What evaluate and explain have found stands in the report, unless it cannot be trusted."""

import copy
import json
import shutil

import numpy as np
import pytest

from robust_saliency.core import files
from robust_saliency.pipeline import Experiment, evaluations, explanations, later_findings
from robust_saliency.pipeline.redrawing import redraw
from tests.pipeline.conftest import CONFIG, THREAT

STRANGE = (None, True, -1, 10**400, "text", "", "<script>", [], [[[[]]]], {}, {"a": {"b": 1}})


def the_file(workdir, pattern):
  (path,) = workdir.glob(pattern)
  return path


def evaluation(workdir):
  return the_file(workdir, "evaluations/*/*.json")


def rewrite(path, **changes):
  """Spoils a file, with the digest that it has then, as a stranger could."""
  content = {**json.loads(path.read_text()), **changes}
  files.write_with_digest(path, json.dumps(content).encode())


def test_the_report_shows_what_the_commands_have_found(workdir):
  page = redraw(workdir).read_text()
  assert "Evaluations by command" in page
  assert "Explanations by command" in page
  about = json.loads(evaluation(workdir).read_text())
  accuracy = {row["attack"]: row["accuracy"] for row in about["table"]}
  sheet = (workdir / "data" / "evaluations.csv").read_text().splitlines()
  assert sheet[0].startswith("model,seed,norm,epsilon,examples,attack,accuracy")
  assert sheet[1].startswith(f"standard,0,linf,0.1,5,none,{accuracy['none']}")
  for value in accuracy.values():
    assert f"<td>{100 * value:.1f}</td>" in page
  assert (workdir / "figures" / "explanations_standard.svg").is_file()


def test_a_report_drawn_elsewhere_has_them_and_can_be_drawn_there_anew(workdir, tmp_path):
  first = redraw(workdir, tmp_path / "out", small=True).read_text()
  again = redraw(tmp_path / "out").read_text()
  for title in ("Evaluations by command", "Explanations by command"):
    assert title in first
    assert title in again


def test_evaluations_at_two_radii_stand_in_tables_of_their_own(workdir):
  path = evaluation(workdir)
  other = path.with_name("other.json")
  shutil.copy(path, other)
  rewrite(other, model="other", epsilon=0.3)
  tables = later_findings.sections(workdir)["evaluations"].tables
  captions = [table.caption for table in tables if table.caption.startswith("Accuracy")]
  assert len(captions) == 2
  for radius in ("0.1", "0.3"):
    assert sum(f"ε = {radius}" in caption for caption in captions) == 1


def test_a_report_without_them_has_no_such_sections(workdir, tmp_path):
  shutil.rmtree(workdir / "evaluations")
  shutil.rmtree(workdir / "explanations")
  page = redraw(workdir, tmp_path / "out").read_text()
  assert "by command" not in page


@pytest.mark.slow
def test_what_was_found_of_a_network_that_was_trained_anew_is_left_out(workdir, capsys):
  longer = copy.deepcopy(CONFIG)
  longer["models"]["standard"]["steps"] += 1
  Experiment(longer, workdir, rerun_changed=True).run(command="")
  assert not later_findings.sections(workdir)
  said = capsys.readouterr().err.splitlines()
  assert [line.partition("left out of the report: ")[0] for line in said[-2:]] == ["", ""]
  assert all("trained anew" in line for line in said[-2:])
  evaluations.evaluate_experiment(workdir, ["fgsm"], THREAT)
  assert set(later_findings.sections(workdir)) == {"evaluations"}


@pytest.mark.slow
def test_what_was_found_on_other_test_images_is_left_out(tmp_path, capsys):
  x, y = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 1), np.uint8), np.arange(60) % 2
  run = tmp_path / "run"
  config = copy.deepcopy(CONFIG)
  config["dataset"] = {"name": "npz", "path": str(tmp_path / "own.npz")}
  for test_y in (y, 1 - y):
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x, y_test=test_y)
    Experiment(config, run, rerun_changed=True).run(command="")
    assert not later_findings.sections(run)
    explanations.explain_experiment(run, ["gradient"], examples=2)
    assert set(later_findings.sections(run)) == {"explanations"}
  assert "has been trained anew since" in capsys.readouterr().err


def test_names_of_a_stranger_s_files_reach_no_terminal_as_they_are(workdir, capsys):
  evaluation(workdir).rename(evaluation(workdir).with_name("\x1b[2J.json"))
  later_findings.sections(workdir)
  assert capsys.readouterr().err.strip().isprintable()


@pytest.mark.parametrize(
  "name", ["model", "seed", "network", "norm", "epsilon", "examples", "table"]
)
def test_a_strange_evaluation_is_left_out_with_a_sentence(workdir, capsys, name):
  shutil.rmtree(workdir / "explanations")
  path = evaluation(workdir)
  before = json.loads(path.read_text())[name]
  for value in STRANGE:
    rewrite(path, **{name: value})
    found = later_findings.sections(workdir).get("evaluations")
    said = capsys.readouterr().err
    if found is None:
      assert said.startswith(f"left out of the report: {path}")
      assert "Traceback" not in said
    else:
      assert type(value) is type(before)
  rewrite(path, **{name: before})
  assert "evaluations" in later_findings.sections(workdir)


def test_a_table_of_other_rows_is_left_out(workdir, capsys):
  shutil.rmtree(workdir / "explanations")
  path = evaluation(workdir)
  rows = json.loads(path.read_text())["table"]
  for change in ({"accuracy": 2}, {"accuracy": "0.5"}, {"attack": 3}, {"tried": [1]}):
    rewrite(path, table=[{**rows[0], **change}])
    assert "evaluations" not in later_findings.sections(workdir)
    assert capsys.readouterr().err.startswith(f"left out of the report: {path}")


def damage(name, content):
  return lambda folder: (folder / name).write_bytes(content)


def other_shapes(folder):
  arrays = dict(np.load(folder / "standard.npz"))
  files.write_with_digest(
    folder / "standard.npz", files.npz({**arrays, "gradient": arrays["gradient"][:1]})
  )


def too_many(folder):
  arrays = {name: np.repeat(one, 99, 0) for name, one in np.load(folder / "standard.npz").items()}
  files.write_with_digest(folder / "standard.npz", files.npz(arrays))


def objects(folder):
  np.savez(folder / "standard.npz", gradient=np.array([{}], object))
  files.write_with_digest(folder / "standard.npz", (folder / "standard.npz").read_bytes())


DAMAGE = {
  "no archive": lambda folder: (folder / "standard.npz").unlink(),
  "another archive": damage("standard.npz", b"PK"),
  "Python objects": objects,
  "no digest": lambda folder: (folder / "standard.json.sha256").unlink(),
  "other shapes": other_shapes,
  "too many images": too_many,
  "an unknown method": lambda folder: rewrite(folder / "standard.json", methods=["nope"]),
  "no method": lambda folder: rewrite(folder / "standard.json", methods=[]),
  "a method with strange settings": lambda folder: rewrite(
    folder / "standard.json", methods=["gradient:7"]
  ),
}


@pytest.mark.parametrize("spoil", DAMAGE.values(), ids=DAMAGE)
def test_a_strange_explanation_is_left_out_with_a_sentence(workdir, capsys, monkeypatch, spoil):
  monkeypatch.setattr(explanations.saliency_panel, "panel", lambda *_: pytest.fail("was drawn"))
  spoil(workdir / "explanations")
  assert "explanations" not in later_findings.sections(workdir)
  said = capsys.readouterr().err
  assert said.startswith("left out of the report: ")
  assert said.count("\n") == 1


def test_what_strangers_have_written_is_text_on_the_page(workdir):
  rewrite(evaluation(workdir), model="<script>alert(1)</script>")
  rewrite(workdir / "explanations" / "standard.json", model="<img src=x>")
  page = redraw(workdir).read_text()
  assert "<script>alert(1)" not in page
  assert "&lt;script&gt;alert(1)" in page
  assert "<img src=x>" not in page
