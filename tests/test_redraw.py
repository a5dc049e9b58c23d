"""Reports drawn anew from what their folders keep."""

import json
import shutil

import numpy as np
import pytest

from robust_saliency.pipeline import Experiment, WorkdirError
from robust_saliency.pipeline.imports import Import
from robust_saliency.pipeline.redrawing import redraw
from robust_saliency.studies.saliency.study import SHADES

MODEL = {
  "architecture": {"name": "mlp", "hidden": (16,)},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "adam", "learning_rate": 0.01},
  "batch_size": 100,
  "steps": 20,
  "log_every": 10,
}
CONFIG = {
  "title": "Two seeds",
  "dataset": {"name": "digits"},
  "seeds": (0, 1),
  "models": {"standard": MODEL},
  "studies": {
    "accuracy": {"kind": "accuracy", "examples": 100},
    "saliency": {"kind": "saliency", "attribution": {"name": "gradient"}},
  },
  "claims": "claims.toml",
}
CLAIMS = """
[[claim]]
id = "learned"
says = "The network has learned something."
about = ["ours"]
of = "accuracy.correct"
at = {model = "standard"}
statistic = "share"
at_least = 0.2
since = "2026-11-26"
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  tables = tmp_path_factory.mktemp("tables")
  (tables / "claims.toml").write_text(CLAIMS)
  workdir = tmp_path_factory.mktemp("finished")
  Experiment(CONFIG, workdir, folder=tables).run(command="python -m robust_saliency.main")
  return workdir


def contents(folder):
  return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_report_drawn_anew_is_the_one_that_was_written(finished, tmp_path):
  page = redraw(finished, tmp_path / "anew")
  anew = contents(page.parent)
  assert {"report.html", "claims.toml", "data/claims.json", "data/training.npz"} <= set(anew)
  known = contents(finished)
  assert [name for name in anew if anew[name] != known[name]] == []


@pytest.mark.slow
def test_a_small_report_needs_neither_networks_nor_data_and_stays_as_it_is(finished, tmp_path):
  first = redraw(finished, tmp_path / "first", small=True).parent
  assert not list(first.rglob("figures"))
  assert not list(first.rglob("models"))
  kept = contents(first)
  assert redraw(first, small=True).parent == first
  assert contents(first) == kept


def test_a_changed_claim_is_judged_anew(finished, tmp_path):
  shutil.copytree(finished, tmp_path / "run")
  (tmp_path / "run/claims.toml").write_text(CLAIMS.replace("at_least = 0.2", "at_least = 1.1"))
  redraw(tmp_path / "run")
  [claim] = json.loads((tmp_path / "run/data/claims.json").read_text())
  assert claim["verdict"] == "fails in this run"


@pytest.mark.slow
def test_a_small_report_keeps_every_verdict_and_maps_to_half_a_shade(finished, tmp_path):
  small = redraw(finished, tmp_path / "small", small=True).parent
  exact, kept = ({**np.load(folder / "data/accuracy.npz")} for folder in (finished, small))
  np.testing.assert_array_equal(kept["correct"], exact["correct"])
  exact, kept = ({**np.load(folder / "data/saliency.npz")} for folder in (finished, small))
  largest = np.abs(exact["maps"]).max(axis=(2, 3, 4), keepdims=True)
  assert (np.abs(kept["maps"] - exact["maps"]) <= 0.51 * largest / SHADES).all()


def test_imports_that_are_missing_and_folders_without_a_report_are_refused(finished, tmp_path):
  with pytest.raises(FileNotFoundError, match="has no report"):
    redraw(tmp_path)
  shutil.copytree(finished, tmp_path / "run")
  path = tmp_path / "run/data/run.json"
  run = {**json.loads(path.read_text()), "imports": [["mine.py", "0" * 64]]}
  path.write_text(json.dumps(run))
  with pytest.raises(WorkdirError, match=r"--import=mine\.py"):
    redraw(tmp_path / "run")
  redraw(tmp_path / "run", imports=[Import("mine.py", "0" * 64)])
