"""Networks of a finished run, as its readers get them."""

import shutil
from pathlib import Path

import pytest

from robust_saliency.pipeline import Experiment, WorkdirError, read_networks, stages
from robust_saliency.training import (
  checkpoints,
)
from tests.pipeline.digits import COMMAND, CONFIG, contents


def test_networks_are_read_without_a_step_or_a_file(finished, tmp_path, monkeypatch):
  workdir = tmp_path / "copy"
  shutil.copytree(finished, workdir)
  before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
  monkeypatch.setattr(checkpoints, "save", lambda *a, **k: pytest.fail("a step was taken"))
  _, networks = read_networks(workdir)
  assert {name: [one.seed for one in of] for name, of in networks.items()} == {
    name: [0, 1] for name in CONFIG["models"]
  }
  assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before


@pytest.mark.parametrize(
  "damage",
  [
    lambda w: shutil.rmtree(w / "models" / "pgd" / "seed_1"),
    lambda w: next((w / "models" / "pgd" / "seed_0").rglob("step_*.json")).unlink(),
    lambda w: (w / "models" / "standard" / "seed_0" / "stage.json").write_text("{}"),
    # Another seed's network in the place of this one's.
    lambda w: (
      shutil.rmtree(w / "models" / "pgd" / "seed_1"),
      shutil.copytree(w / "models" / "pgd" / "seed_0", w / "models" / "pgd" / "seed_1"),
    ),
  ],
)
def test_a_network_that_is_not_whole_is_refused_by_readers_and_nothing_deleted(
  finished, tmp_path, damage
):
  workdir = tmp_path / "copy"
  shutil.copytree(finished, workdir)
  damage(workdir)
  before = contents(workdir)
  with pytest.raises(WorkdirError, match=r"training \w+, seed \d is not finished in workdir"):
    read_networks(workdir)
  assert contents(workdir) == before


def test_a_flipped_bit_in_the_config_is_noticed_by_all(finished, tmp_path):
  workdir = tmp_path / "copy"
  shutil.copytree(finished, workdir)
  path = workdir / "config.json"
  path.write_text(path.read_text().replace('"learning_rate": 0.01', '"learning_rate": 0.03'))
  before = contents(workdir)
  for use in (read_networks, lambda w: Experiment(CONFIG, w).run(command=COMMAND)):
    with pytest.raises(WorkdirError, match=r"cannot be used: .*config\.json is damaged"):
      use(workdir)
  assert {**contents(workdir), Path(".lock"): b""} == {**before, Path(".lock"): b""}


def test_other_images_under_the_same_name_are_refused_until_they_are_asked_for(
  finished, tmp_path, monkeypatch
):
  workdir = tmp_path / "copy"
  shutil.copytree(finished, workdir)
  digest = stages.digest_of_dataset
  monkeypatch.setattr(stages, "digest_of_dataset", lambda dataset: digest(dataset)[::-1])
  with pytest.raises(WorkdirError, match=r"would replace: training standard, seed 0 \(of other im"):
    Experiment(CONFIG, workdir).run(command=COMMAND)
  with pytest.raises(WorkdirError, match="is not finished"):
    read_networks(workdir)
