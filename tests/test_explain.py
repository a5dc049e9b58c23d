"""The command that explains a finished experiment's networks."""

import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from robust_saliency import models
from robust_saliency.data import Split, load
from robust_saliency.pipeline import Experiment, explanations, read_networks
from robust_saliency.training import TrainedNetwork

CONFIG = {
  "title": "Two networks",
  "dataset": {"name": "digits"},
  "seeds": (0,),
  "models": {
    name: {
      "architecture": {"name": "digits"},
      "objective": {"cross_entropy": {}},
      "optimizer": {"name": "adam", "learning_rate": 0.01},
      "batch_size": 100,
      "steps": steps,
    }
    for name, steps in (("long", 20), ("short", 2))
  },
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("finished")
  Experiment(CONFIG, workdir).run(command="a test")
  return workdir


def test_it_writes_a_panel_and_the_maps_of_each_network(finished):
  methods = ["gradient", "vargrad:samples=2", "grad_cam", "expected_gradients", "rise:samples=20"]
  paths = explanations.explain_experiment(finished, methods, examples=12)
  assert [path.name for path in paths] == ["long.png", "short.png"]
  dataset = load("digits")
  for path in paths:
    with Image.open(path) as picture:
      assert picture.width > 1500
    assert path.with_suffix(".svg").read_bytes().startswith(b"<?xml")
    arrays = np.load(path.with_suffix(".npz"))
    assert sorted(arrays) == sorted(["images", "labels", "predictions", *methods])
    assert arrays["labels"].tolist() == [*range(10), 0, 1]
    assert all(arrays[name].shape == (12, 8, 8, 1) for name in ("images", *methods))
    assert arrays["images"].max() <= 1
  assert not np.array_equal(*(np.load(path.with_suffix(".npz"))["gradient"] for path in paths))
  network = read_networks(finished)[1]["long"][0]
  images, labels = np.load(paths[0].with_suffix(".npz"))["images"], arrays["labels"]
  predicted = np.argmax(network.logits_fn(images), axis=1)
  np.testing.assert_array_equal(np.load(paths[0].with_suffix(".npz"))["predictions"], predicted)
  assert np.isin(images[0], dataset.to_float(dataset.test.x)).all()
  assert labels[0] == 0


@pytest.mark.slow
def test_some_networks_only_and_the_same_again(finished, tmp_path):
  settings = {"models": ["short"], "examples": 3, "out": tmp_path}
  (path,) = explanations.explain_experiment(finished, ["smoothgrad"], **settings)
  before = [path.with_suffix(suffix).read_bytes() for suffix in (".png", ".svg", ".npz")]
  explanations.explain_experiment(finished, ["smoothgrad"], **settings)
  assert before == [path.with_suffix(suffix).read_bytes() for suffix in (".png", ".svg", ".npz")]
  assert {p.name for p in tmp_path.iterdir()} == {
    *("short.png", "short.svg"),
    *("short.npz", "short.npz.sha256", "short.json", "short.json.sha256"),
  }


def test_classes_take_turns():
  split = Split(np.arange(7), np.array([2, 0, 0, 1, 0, 2, 0]))
  chosen = explanations.from_each_class_in_turn(split, 3, 6)
  assert chosen.y.tolist() == [0, 1, 2, 0, 2, 0]
  assert chosen.x.tolist() == [1, 3, 0, 2, 5, 4]
  with pytest.raises(ValueError, match="examples must be at most the test set's 7, got 8"):
    explanations.from_each_class_in_turn(split, 3, 8)


def test_maps_that_are_shown_relatively_are_of_methods():
  assert set(explanations.RELATIVE) <= set(explanations.methods_by_name())


def test_settings_of_a_method_follow_its_name(finished, tmp_path):
  methods = [
    "smoothgrad:samples=1:noise_level=0.0",
    "gradient",
    "gradient:score=margin",
    "expected_gradients:samples=3:attribution={'name':'gradient','score':'margin'}",
  ]
  settings = {"models": ["short"], "examples": 2, "out": tmp_path}
  (path,) = explanations.explain_experiment(finished, methods, **settings)
  maps = np.load(path.with_suffix(".npz"))
  assert json.loads(path.with_suffix(".json").read_text())["methods"] == methods
  # Without noise, one sample of SmoothGrad is the gradient.
  np.testing.assert_allclose(maps[methods[0]], maps["gradient"], rtol=1e-4, atol=1e-6)
  assert not np.allclose(maps[methods[2]], maps["gradient"])
  assert np.isfinite(maps[methods[3]]).all()


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"methods": ["lime:sample=3"]}, "did you mean 'samples'?"),
    ({"methods": ["smoothgrad:samples=0"]}, "samples"),
    ({"methods": ["smoothgrad:samples"]}, "must be NAME:SETTING=VALUE:..., got 'samples'"),
    ({"methods": ["gradient:score=nope"]}, "score must be one of"),
    ({"methods": ["expected_gradients:samples=0"]}, "samples"),
    ({"methods": ["expected_gradients:background=3"]}, "background of expected_gradients must"),
    ({"methods": ["expected_gradients:nope=3"]}, "setting of attribution 'expected_gradients'"),
    ({"methods": ["gradien"]}, "did you mean 'gradient'?"),
    ({"methods": []}, "methods must name at least one of"),
    ({"models": ["lon"]}, "did you mean 'long'?"),
    ({"examples": 0}, "examples must be >= 1, got 0"),
  ],
)
def test_what_is_wrong_is_said_in_a_sentence(finished, settings, sentence):
  with pytest.raises(ValueError, match=re.escape(sentence)):
    explanations.explain_experiment(finished, **{"methods": ["gradient"], **settings})


def test_a_misspelt_setting_is_said_before_networks_are_looked_for(tmp_path):
  with pytest.raises(ValueError, match=r"got 'sample' \(did you mean 'samples'\?\)"):
    explanations.explain_experiment(tmp_path, ["gradient", "smoothgrad:sample=3"])


def test_a_method_that_one_network_cannot_have_is_refused_before_the_others_maps(
  finished, tmp_path, monkeypatch
):
  dataset, networks = read_networks(finished)
  module = models.build("mlp", hidden=(), num_classes=10)
  variables = models.init(module, jax.random.key(0), dataset.image_shape)
  networks = {**networks, "linear": [TrainedNetwork(module, variables)]}
  monkeypatch.setattr(explanations, "read_networks", lambda *_, **__: (dataset, networks))
  monkeypatch.setattr(explanations, "_explain", lambda *_: pytest.fail("maps were computed"))
  with pytest.raises(ValueError, match=r"guided_backprop of 'linear': .*ReLU"):
    explanations.explain_experiment(finished, ["gradient", "guided_backprop"], out=tmp_path)


def test_what_could_not_be_written_is_not_computed(finished, tmp_path, monkeypatch):
  (tmp_path / "file").touch()
  monkeypatch.setattr(explanations, "_explain", lambda *_: pytest.fail("maps were computed"))
  with pytest.raises(OSError, match="file"):
    explanations.explain_experiment(finished, ["gradient"], out=tmp_path / "file")


@pytest.mark.slow
def test_the_command_ends_in_one_sentence(tmp_path):
  command = [sys.executable, "-m", "robust_saliency.explain", f"--workdir={tmp_path}"]
  result = subprocess.run(command, capture_output=True, text=True, check=False)
  assert result.returncode == 2
  assert "holds no experiment; run python -m robust_saliency.main first" in result.stderr
  assert "Traceback" not in result.stderr
