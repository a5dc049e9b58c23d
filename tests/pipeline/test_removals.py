"""ROAR of a finished experiment's networks."""

import hashlib
import shutil

import numpy as np
import pytest

from robust_saliency.pipeline import Experiment, WorkdirError, read_networks, removals, workdir
from robust_saliency.training import trainers

NETWORK = {
  "architecture": {"name": "mlp", "hidden": ()},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "adam", "learning_rate": 0.01},
  "batch_size": 100,
  "steps": 60,
}
ADVERSARIAL = {"adversarial": {"attack": {"name": "fgsm", "epsilon": 0.1}}}
CONFIG = {
  "title": "Two networks",
  "dataset": {"name": "digits"},
  "seeds": (0, 1),
  "models": {"plain": NETWORK, "robust": {**NETWORK, "objective": ADVERSARIAL}},
  "studies": {"accuracy": {"kind": "accuracy"}},
}
SETTINGS = {
  "fractions": (0.5,),
  "protocols": ("KAR",),
  "train_examples": 400,
  "scored_examples": 100,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("finished")
  Experiment(CONFIG, workdir).run(command="a test")
  return workdir


def digests(folder):
  return {
    str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(folder.rglob("*"))
    if path.is_file() and removals.FOLDER not in path.relative_to(folder).parts
  }


@pytest.mark.slow
def test_it_scores_the_experiment_s_networks_and_leaves_them_as_they_are(finished, capsys):
  before = digests(finished)
  methods = ["gradient", "gradient:absolute=False"]
  page, result = removals.remove_and_retrain_experiment(
    finished, methods, steps=20, settings=SETTINGS
  )
  assert digests(finished) == before
  retrained = capsys.readouterr().err
  assert "retraining gradient" in retrained
  assert "training plain" not in retrained
  assert page.parent.parent == finished / "roar"
  known = result.layout.coordinates
  assert (known["map"], known["model"]) == (tuple(methods), ("plain", "robust"))
  assert known["seed"] == (0, 1)
  # The networks that were explained are the experiment's own.
  images = slice(0, 100)
  dataset, networks = read_networks(finished)
  for n, name in enumerate(known["model"]):
    for s, network in enumerate(networks[name]):
      logits = network.logits_fn(dataset.to_float(dataset.test.x[images]))
      right = np.mean(np.argmax(logits, axis=1) == dataset.test.y[images])
      assert result.arrays["clean"][n, s] == pytest.approx(right)
  lines = removals.show(result).splitlines()
  assert max(map(len, lines)) <= 80
  score = np.mean(result.at("score", protocol="KAR", map="gradient", model="robust"))
  assert any(
    line.startswith("gradient, robust") and line.endswith(f"{score:.3f}") for line in lines
  )


class ReachedError(Exception):
  """Everything has been taken over, and retraining would begin."""


@pytest.fixture
def taken(finished, monkeypatch):
  """Goes as far as to the retraining, for files that are the experiment's."""

  def stop(self, command):
    raise ReachedError

  def take(out, workdir=finished):
    with monkeypatch.context() as patched:
      patched.setattr(removals.Experiment, "run", stop)
      with pytest.raises(ReachedError):
        removals.remove_and_retrain_experiment(workdir, ["gradient"], out=out, settings=SETTINGS)
    assert digests(out / "models") == digests(workdir / "models")

  return take


@pytest.mark.slow
def test_a_folder_of_something_else_is_refused_before_anything_is_copied_into_it(
  finished, tmp_path
):
  other, used = tmp_path / "other", tmp_path / "used"
  workdir.claim(other, {**CONFIG, "seeds": (3,)})
  with pytest.raises(
    WorkdirError,
    match=r"to another config, .*; choose another folder, or delete this one to start over$",
  ):
    removals.remove_and_retrain_experiment(finished, ["gradient"], out=other)
  with workdir.in_use(used), pytest.raises(WorkdirError, match="is in use"):
    removals.remove_and_retrain_experiment(finished, ["gradient"], out=used)
  assert not (other / "models").exists()
  assert not (used / "models").exists()


def test_a_copy_that_was_cut_off_is_made_anew(finished, taken, tmp_path, monkeypatch):
  link, linked = removals._link, []

  def cut_off(source, target):
    if len(linked) == 4:
      raise KeyboardInterrupt
    linked.append(target)
    link(source, target)

  with monkeypatch.context() as patched:
    patched.setattr(removals, "_link", cut_off)
    with pytest.raises(KeyboardInterrupt):
      removals.remove_and_retrain_experiment(
        finished, ["gradient"], out=tmp_path, settings=SETTINGS
      )
  assert len(linked) == 4
  assert not list(tmp_path.glob("models/*/seed_*"))
  taken(tmp_path)


def test_networks_that_were_trained_anew_since_are_taken_again(finished, taken, tmp_path):
  source, out = tmp_path / "source", tmp_path / "out"
  shutil.copytree(finished, source)
  taken(out, source)
  before = digests(out / "models")
  # As another machine would have it: from the same recipe other weights.
  shutil.rmtree(source / "models")
  with pytest.MonkeyPatch.context() as patched:
    patched.setattr(trainers, "_INITIALIZATION", 1)
    Experiment(CONFIG, source, rerun_changed=True).run(command="a test")
  taken(out, source)
  assert digests(out / "models") != before


def test_an_experiment_without_studies_will_do(finished, taken, tmp_path):
  bare = tmp_path / "bare"
  workdir.claim(bare, {name: value for name, value in CONFIG.items() if name != "studies"})
  shutil.copytree(finished / "models", bare / "models")
  taken(tmp_path / "out", bare)


def test_networks_of_different_seeds_are_explained_by_the_seeds_that_all_have():
  assert removals._common_seeds([[0, 1], [0]]) == {"seeds": [0]}
  assert removals._common_seeds([[0, 1]]) == {}


def test_a_stage_that_was_passed_over_leaves_nothing_to_take(tmp_path):
  removals._take(tmp_path / "studies" / "choice", tmp_path / "out" / "studies" / "choice")
  assert list(tmp_path.iterdir()) == []


def test_networks_that_are_not_finished_are_not_trained(finished, tmp_path):
  (tmp_path / "config.json").write_bytes((finished / "config.json").read_bytes())
  (tmp_path / "config.json.sha256").write_bytes((finished / "config.json.sha256").read_bytes())
  with pytest.raises(WorkdirError, match="is not finished"):
    removals.remove_and_retrain_experiment(tmp_path, ["gradient"])


@pytest.mark.parametrize(
  ("methods", "given", "sentence"),
  [
    ([], {}, "methods must name at least one of"),
    (["gradeint"], {}, "did you mean 'gradient'"),
    (["gradient:smoothing=99"], {}, "smoothing must be .* got 99"),
    (["gradient"], {"retrain": "plane"}, "retrain must be one of .*did you mean 'plain'"),
    (["gradient"], {"steps": 0}, "steps must be >= 1, got 0"),
    (["gradient"], {"settings": {"fractions": (2.0,)}}, "fractions.* got 2"),
    (["gradient"], {"settings": {"protocols": ("RAOR",)}}, "protocols.* got 'RAOR'"),
  ],
)
def test_what_could_not_be_measured_is_refused_before_anything_is_trained(
  finished, tmp_path, methods, given, sentence
):
  with pytest.raises((ValueError, TypeError), match=sentence):
    removals.remove_and_retrain_experiment(finished, methods, out=tmp_path / "out", **given)
  assert not (tmp_path / "out" / "studies").exists()
