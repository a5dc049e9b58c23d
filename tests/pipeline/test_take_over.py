"""A network that is taken over from another name: as a whole, and without the other's record."""

import shutil
from pathlib import Path

import pytest

from robust_saliency.pipeline.stage import Done, Record, follows_from, identity_of
from robust_saliency.pipeline.stages import TrainingStage
from robust_saliency.pipeline.take_over import take_over

FILES = {"metrics.csv": "step", "checkpoints/step_1/state": "weights", "stage.json": "{}"}


class Training(TrainingStage):
  """A training of which only the identity counts."""

  def __init__(self, name, chosen=None):
    self.name, self.folder, self.chosen = name, Path("models") / name / "seed_0", chosen
    self.settings, self.needs = {"steps": 1}, {}

  def settled(self, done):
    return self.chosen or self


def copy_some(source, target, **settings):
  target.mkdir(parents=True)
  (target / "metrics.csv").write_text("st")
  raise KeyboardInterrupt


def stop(*_):
  raise KeyboardInterrupt


@pytest.mark.parametrize(
  "cut_off", [(shutil, "copytree", copy_some), (Path, "rename", stop)], ids=["copying", "copied"]
)
def test_a_network_is_taken_over_whole_however_often_it_was_cut_off(tmp_path, monkeypatch, cut_off):
  candidate = Training("candidate")
  bearer = Training("bearer", candidate)
  done = {candidate: Done(None, Record(identity_of(follows_from(candidate, {})), "", {}, 9, {}), 1)}
  for name, content in FILES.items():
    path = tmp_path / candidate.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
  for _ in range(2):
    with monkeypatch.context() as patched:
      patched.setattr(*cut_off)
      with pytest.raises(KeyboardInterrupt):
        take_over(bearer, tmp_path, done)
    assert not (tmp_path / bearer.folder).exists()
  take_over(bearer, tmp_path, done)
  taken = {
    str(path.relative_to(tmp_path / bearer.folder)): path.read_text()
    for path in (tmp_path / bearer.folder).rglob("*")
    if path.is_file()
  }
  assert taken == {name: content for name, content in FILES.items() if name != "stage.json"}
  assert [path.name for path in (tmp_path / bearer.folder).parent.iterdir()] == ["seed_0"]
