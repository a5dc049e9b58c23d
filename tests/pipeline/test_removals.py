"""ROAR of a finished experiment's networks."""

import hashlib

import numpy as np
import pytest

from robust_saliency.pipeline import Experiment, WorkdirError, read_networks, removals

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
  assert "training without pixels" in retrained
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
