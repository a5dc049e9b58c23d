"""What notebooks call: runs in their own process, looked at inline."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from robust_saliency import attacks, notebook
from robust_saliency.command_line import load_config

CLAIM = {
  "id": "C1 linf",
  "says": "Networks <b> are robust & readable.",
  "value": 0.25,
  "low": 0.125,
  "high": 0.375,
  "relation": ">=",
  "threshold": 0.0,
  "paper": None,
  "verdict": "supported",
}
OPEN = CLAIM | {"id": "C2", "value": None, "low": None, "high": None, "verdict": "not judged"}


@pytest.fixture
def finished(tmp_path):
  for folder in ("data", "figures"):
    (tmp_path / folder).mkdir()
  (tmp_path / "data" / "claims.json").write_text(json.dumps([CLAIM, OPEN]), encoding="utf-8")
  for name in ("curve", "of_a_study_that_is_no_more"):
    Image.fromarray(np.full((3, 6, 3), 7, np.uint8)).save(tmp_path / "figures" / f"{name}.png")
  link = '<a href="figures/curve.png">PNG</a>'
  (tmp_path / "report.html").write_text(f"{link} {link}", encoding="utf-8")
  return notebook.Run(tmp_path)


def test_claims_are_a_table_of_escaped_text(finished):
  table = finished.claims()._repr_html_()
  assert table.count("<tr>") == 3
  for cell in (
    "Networks &lt;b&gt; are robust &amp; readable.",
    "0.250",
    "✓\u00a0supported",
    "<td>≥\u00a00</td>",
  ):
    assert cell in table, cell
  assert "Paper" not in table, "no claim has a number of a paper"
  assert "0.125 to 0.375" in table


def test_claims_are_chosen_by_how_their_names_begin(finished):
  assert finished.claims("C2")._repr_html_().count("<tr>") == 2
  assert "C1" not in repr(finished.claims("C2"))
  with pytest.raises(ValueError, match=r"one of C1 linf, C2; got \('C3',\)"):
    finished.claims("C3")


def test_a_figure_is_the_reports_own(finished):
  assert finished.figures() == ["curve"]
  shown = finished.figure("cur")
  assert shown._repr_html_() is None
  png, about = shown._repr_png_()
  assert about == {"width": 3}, "at half of its size, as the report has it"
  with Image.open(io.BytesIO(png)) as picture:
    np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), np.full((3, 6, 3), 7))
  with pytest.raises(ValueError, match="did you mean 'curve'"):
    finished.figure("curves")


def test_what_is_kept_lies_on_drive_where_it_is_mounted(tmp_path, monkeypatch):
  assert notebook.folder("digits:mnist").parts == ("runs", "digits-mnist")
  monkeypatch.setattr(notebook, "DRIVE", tmp_path)
  assert notebook.folder("digits:mnist") == tmp_path / "robust_saliency" / "digits-mnist"


@pytest.mark.parametrize(
  ("config", "fields", "sentence"),
  [
    ("digit", {}, "did you mean digits?"),
    ("digits:smoke", {"models.pgd.epoch": 1}, "did you mean 'epochs'?"),
  ],
)
def test_what_there_is_not_is_refused_in_a_sentence(tmp_path, capsys, config, fields, sentence):
  with pytest.raises(SystemExit):
    notebook.run(config, tmp_path / "run", fields=fields)
  assert sentence in capsys.readouterr().err
  assert not (tmp_path / "run").exists()


METHODS = """
from robust_saliency import attacks

def still_{name}(key, logits_fn, x, y):
  return x

attacks.register("{name}", still_{name}, norm="linf")
{more}
"""


def test_a_file_of_methods_that_has_changed_takes_its_earlier_places(tmp_path):
  file = tmp_path / "methods.py"
  first, second = (METHODS.format(name=name, more="") for name in ("mine_once", "mine_twice"))
  for text, there, gone in (
    (first, "mine_once", "mine_twice"),
    (second, "mine_twice", "mine_once"),
  ):
    for _ in range(2):
      file.write_text(text, encoding="utf-8")
      module = notebook.load(file)
      assert hasattr(module, f"still_{there}")
      assert there in attacks.ATTACKS
      assert gone not in attacks.ATTACKS
  file.write_text(first, encoding="utf-8")
  notebook.load(file)
  assert "mine_once" in attacks.ATTACKS
  file.write_text("", encoding="utf-8")
  notebook.load(file)
  assert not {"mine_once", "mine_twice"} & set(attacks.ATTACKS)


def test_a_file_that_fails_leaves_nothing_behind(tmp_path):
  file = tmp_path / "methods.py"
  file.write_text(METHODS.format(name="mine_failing", more="1 / 0"), encoding="utf-8")
  with pytest.raises(ValueError, match="fails with ZeroDivisionError"):
    notebook.load(file)
  assert "mine_failing" not in attacks.ATTACKS


ROW = {"id": "C", "says": "So.", "value": 40.6, "low": None, "high": None, "paper": None}


def test_a_claim_of_two_networks_without_an_interval_says_so():
  asked = {"relation": ">=", "threshold": 0.1, "to": None, "verdict": "undecided"}
  assert notebook._claim_row({**ROW, **asked})[2:5] == ("40.6", "no interval", "≥ 0.1")


def test_a_claim_of_equivalence_says_near_to_what_unless_its_report_is_of_an_earlier_version():
  asked = {"relation": "within", "threshold": 3.0, "verdict": "undecided"}
  assert notebook._claim_row({**ROW, **asked, "to": 41.0})[4] == "41 ± 3"
  assert notebook._claim_row({**ROW, **asked})[4] == "± 3"


def test_a_config_of_one_s_own_may_be_run_again(tmp_path):
  config = load_config("digits:smoke")
  with pytest.raises(ValueError, match="dataset"):
    notebook.run(config, tmp_path / "run", fields={"dataset.name": "digit"})
  assert config.dataset.name == "digits"
  assert not config.is_locked
