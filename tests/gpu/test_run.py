import contextlib
import io
import json
import tarfile

import flax.traverse_util
import numpy as np
import pytest

from gpu import run
from gpu.orders import Order, Phase
from robust_saliency import data
from robust_saliency.pipeline import read_networks

pytestmark = pytest.mark.slow  # two experiments, and their reports

CONFIG = """
from ml_collections import ConfigDict

def get_config(words):
  network = {
    "architecture": {"name": "mlp", "hidden": ()},
    "objective": {"cross_entropy": {}},
    "optimizer": {"name": "sgd", "learning_rate": 0.1},
    "batch_size": 64,
    "steps": int(words),
    "log_every": 2,
  }
  return ConfigDict({
    "title": "Tiny", "scale": "small", "dataset": {"name": "digits"}, "seeds": (7,),
    "models": {"one": network, "other": {**network, "seed_offset": 100}},
    "studies": {"accuracy": {"kind": "accuracy"}},
    "claims": "claims.toml",
  })
"""
CLAIMS = """
[[claim]]
id = "{model}"
says = "The network {model} learns."
of = "accuracy.correct"
at = {model = "{model}"}
statistic = "share"
at_least = 0.2
for_each = {model = ["one", "other"]}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  """(workdir, out, order) of two phases: one network of one seed, then two of two seeds."""
  folder = tmp_path_factory.mktemp("run")
  (folder / "tiny.py").write_text(CONFIG)
  (folder / "claims.toml").write_text(CLAIMS)
  digits = data.load("digits")
  (folder / ".gpu").mkdir()
  arrays = {
    f"{array}_{name}": getattr(split, array)
    for name, split in digits.splits.items()
    for array in ("x", "y")
  }
  np.savez(folder / ".gpu" / "digits.npz", **arrays)
  order = Order(
    config=f"{folder / 'tiny.py'}:5",
    dataset="digits",
    phases=(Phase("first", (0,), ("one",)), Phase("second", (0, 1))),
    kept=("one",),
  )
  said = (folder / "said").open("w")
  with said, contextlib.redirect_stderr(said), pytest.MonkeyPatch.context() as patch:
    patch.chdir(folder)
    run.run(order, folder / "work", folder / "out", command="a test")
  return folder, order


def opened(path):
  return tarfile.open(fileobj=io.BytesIO(path.read_bytes()))


def test_each_phase_leaves_a_whole_report_and_the_first_its_networks(finished, monkeypatch):
  folder, _ = finished
  monkeypatch.chdir(folder)
  assert {path.name for path in (folder / "out").iterdir()} == {
    "first_report.tar.gz", "first_one.npz", "second_report.tar.gz",
  }  # fmt: skip
  ids = []
  for phase in ("first", "second"):
    with opened(folder / "out" / f"{phase}_report.tar.gz") as tar:
      names = tar.getnames()
      assert "work/report.html" in names
      assert not any("checkpoints" in name for name in names)
      claims = json.load(tar.extractfile("work/data/claims.json"))
      ids.append([claim["id"] for claim in claims])
  assert ids == [["one"], ["one", "other"]]
  with np.load(folder / "out" / "first_one.npz") as kept:
    found = flax.traverse_util.unflatten_dict(dict(kept), sep="/")
  _, networks = read_networks(folder / "work")
  variables = networks["one"][0].variables
  np.testing.assert_array_equal(
    found["params"]["Dense_0"]["kernel"], variables["params"]["Dense_0"]["kernel"]
  )


def test_what_is_finished_is_handed_out_again_and_computed_once(finished, tmp_path, monkeypatch):
  folder, order = finished
  monkeypatch.chdir(folder)
  monkeypatch.setattr(run, "Experiment", None)
  run.run(order, folder / "work", tmp_path / "out")
  for path in (folder / "out").iterdir():
    assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_a_second_phase_trains_what_the_first_has_not_several_steps_a_call(finished):
  folder, _ = finished
  said = (folder / "said").read_text().splitlines()
  trained = [line for line in said if line.startswith("training ")]
  assert [line.split(":")[0] for line in trained] == [
    "training one, seed 0", "training one, seed 1", "training other, seed 0",
    "training other, seed 1",
  ]  # fmt: skip
  record = json.loads((folder / "work/models/one/seed_1/stage.json").read_text())
  assert record["follows_from"]["settings"]["recipe"]["steps_per_call"] == 50
