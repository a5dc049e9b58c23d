import json
from pathlib import Path

import numpy as np
import pytest

from robust_saliency.core import files
from robust_saliency.data import Dataset, Split
from robust_saliency.pipeline.stage import (
  Stage,
  follows_from,
  read_record,
  run_or_read,
  stages_in_order,
)
from robust_saliency.pipeline.stages import DataStage, TrainingStage
from robust_saliency.pipeline.workdir import differences
from robust_saliency.training import Network, Recipe


class Counting(Stage):
  """Adds a number to what it needs, and counts how often it was computed."""

  def __init__(self, name, number, *needs, role="terms"):
    self.name, self.folder, self.settings = name, Path(name), {"number": number}
    self.needs = {role: needs}
    self.computed = 0

  def run(self, needs, directory, identity):
    self.computed += 1
    total = self.settings["number"] + sum(sum(of_role) for of_role in needs.values())
    about = {"total": total, "identity": identity}
    files.write_with_digest(directory / "total.json", json.dumps(about).encode())

  def read(self, directory, identity):
    try:
      kept = json.loads(files.read_verified(directory / "total.json"))
    except files.DamagedFileError:
      return None
    return kept["total"] if kept["identity"] == identity else None

  def content(self, result):
    return files.digest(str(result).encode())


def run(workdir, *stages):
  done = {}
  for stage in stages_in_order(stages):
    done[stage] = run_or_read(stage, workdir, done)
  return done


def pair(first=1, second=10):
  data = Counting("data", first)
  return data, Counting("network", second, data)


def test_what_is_there_is_read_and_not_computed_again(tmp_path):
  run(tmp_path, *pair())
  data, network = pair()
  done = run(tmp_path, network)
  assert (data.computed, network.computed) == (0, 0)
  assert done[network].result == 11
  assert not done[network].computed


def test_another_setting_computes_a_stage_and_what_needs_it(tmp_path):
  run(tmp_path, *pair())
  data, network = pair(first=2)
  assert run(tmp_path, network)[network].result == 12
  assert (data.computed, network.computed) == (1, 1)


def test_a_stage_that_comes_out_the_same_leaves_those_that_need_it(tmp_path):
  run(tmp_path, *pair())
  (tmp_path / "data" / "total.json").unlink()
  data, network = pair()
  run(tmp_path, network)
  assert (data.computed, network.computed) == (1, 0)


def test_a_raised_version_computes_a_stage_again(tmp_path):
  run(tmp_path, *pair())
  data, network = pair()
  network.version = 2
  run(tmp_path, network)
  assert (data.computed, network.computed) == (0, 1)


@pytest.mark.parametrize(("name", "computed"), [("total.json", 1), ("stage.json", 0)])
def test_a_flipped_bit_computes_a_result_again_and_writes_a_record_anew(tmp_path, name, computed):
  for byte in np.random.default_rng(0).integers(0, 60, 5):
    run(tmp_path, *pair())
    path = tmp_path / "network" / name
    content = bytearray(path.read_bytes())
    content[byte] ^= 1
    path.write_bytes(content)
    data, network = pair()
    assert run(tmp_path, network)[network].result == 11
    assert (data.computed, network.computed) == (0, computed)
    assert read_record(tmp_path / "network") is not None


def test_a_result_that_was_cut_off_before_its_record_is_not_computed_again(tmp_path):
  run(tmp_path, *pair())
  (tmp_path / "network" / "stage.json").unlink()
  _, network = pair()
  assert run(tmp_path, network)[network].result == 11
  assert network.computed == 0


def test_the_files_of_another_stage_with_valid_digests_are_not_taken(tmp_path):
  run(tmp_path, *pair(), Counting("other", 5))
  for name in ("total.json", "total.json.sha256"):
    (tmp_path / "network" / name).write_bytes((tmp_path / "other" / name).read_bytes())
  _, network = pair()
  assert run(tmp_path, network)[network].result == 11
  assert network.computed == 1


def test_a_record_says_what_a_stage_follows_from(tmp_path):
  _, network = pair()
  done = run(tmp_path, network)
  record = read_record(tmp_path / "network")
  assert record.follows_from == follows_from(network, done)
  assert record.follows_from["needs"] == {"terms": [files.digest(b"1")]}
  assert record.provenance["versions"]["jax"]
  changed = {**record.follows_from, "version": 3}
  assert differences(record.follows_from, changed) == ["version (1 there, 3 here)"]


def test_a_record_of_another_format_is_refused(tmp_path):
  run(tmp_path, *pair())
  path = tmp_path / "data" / "stage.json"
  kept = {**json.loads(path.read_bytes()), "format": 99}
  files.write_with_digest(path, json.dumps(kept).encode())
  with pytest.raises(ValueError, match="left by another version"):
    run(tmp_path, *pair())


def test_stages_that_need_one_another_are_refused():
  first, second = Counting("first", 1), Counting("second", 2)
  first.needs, second.needs = {"terms": (second,)}, {"terms": (first,)}
  with pytest.raises(ValueError, match=r"stages must not need one another.*first|second"):
    stages_in_order([first])


@pytest.mark.parametrize(("given", "kept"), [({}, None), ({"steps_per_call": 5}, 5)])
def test_a_training_follows_from_its_steps_per_call_only_where_its_recipe_gives_them(given, kept):
  split = Split(np.zeros((4, 2, 2, 1), np.uint8), np.arange(4, dtype=np.int32) % 2)
  dataset = Dataset("zeros", split, None, split, ("a", "b"), scale=1 / 255)
  recipe = Recipe.from_config(
    {
      "architecture": {"name": "mlp", "hidden": ()},
      "objective": {"cross_entropy": {}},
      "optimizer": {"name": "sgd", "learning_rate": 0.5},
      "batch_size": 2,
      "steps": 1,
      **given,
    }
  )
  stage = TrainingStage(Network("one", recipe, dataset), 0, DataStage(dataset), {})
  assert stage.settings["recipe"].get("steps_per_call") == kept
