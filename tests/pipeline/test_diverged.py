"""What a network that has diverged leaves in results: NaN in its own places, and nowhere else."""

import copy
import dataclasses
import json

import numpy as np
import pytest

from robust_saliency.data import load
from robust_saliency.pipeline import Experiment
from robust_saliency.pipeline.diverged import struck_out
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies import STUDIES, read_study
from robust_saliency.studies.transfer import Transfer
from robust_saliency.studies.transfer.quantities import derived
from robust_saliency.training import TrainedNetwork
from tests.pipeline.digits import COMMAND, CONFIG, about, arrays
from tests.studies.manifold.small import SETTINGS as MANIFOLD
from tests.studies.test_fields import NAMES, STUDY


def networks(**reasons):
  return {
    name: [TrainedNetwork(None, {}, seed, why) for seed, why in enumerate(of)]
    for name, of in reasons.items()
  }


def result(axes, coordinates, shape, kind="accuracy"):
  return Result("s", kind, Layout({"a": axes}, coordinates), {"a": np.ones(shape, bool)})


def test_a_study_of_the_first_seed_alone_survives_a_second_that_diverged():
  first = result(("model", "seed"), {"model": ("x", "y"), "seed": (0,)}, (2, 1))
  assert struck_out(first, networks(x=["", "loss became nan"], y=["", ""])) is first
  of_first = struck_out(first, networks(x=["loss became nan", ""], y=["", ""]))
  assert np.isnan(of_first.arrays["a"]).ravel().tolist() == [True, False]


def test_classes_on_an_axis_of_targets_are_no_networks():
  classes = result(
    ("target", "model", "seed"),
    {"target": ("y", "y + 1"), "model": ("x", "z"), "seed": (0,)},
    (2, 2, 1),
  )
  struck = struck_out(classes, networks(x=["nan"], z=[""])).arrays["a"]
  assert np.isnan(struck).tolist() == [[[True], [False]]] * 2


def test_an_axis_that_is_only_counted_is_left():
  counted = result(("target", "model"), {"model": ("x", "y"), "seed": (0,)}, (3, 2))
  struck = struck_out(counted, networks(x=["nan"], y=[""])).arrays["a"]
  assert np.isnan(struck).tolist() == [[True, False]] * 3


def test_the_target_that_loses_most_is_none_that_has_diverged():
  study = Transfer(attack={"name": "fgsm"}, epsilons=(0.0, 0.1))
  correct = np.ones((1, 2, 2, 2, 8), bool)
  correct[0, 1, :, 1] = False  # the stand-in of the second target gets everything wrong
  correct[0, 1, 0, 0, :2] = False
  layout = study.layout(("x", "y"), (0,), dataset=None)
  arrays = {"correct": correct, **derived(correct, (0.0, 0.1))}
  measured = Result("t", "transfer", layout, arrays)
  found = networks(x=[""], y=["nan"])
  struck = study.after_divergence(struck_out(measured, found), found)
  assert struck.at("largest_drop", source="x").tolist() == [[1, 0, 0, 0]]
  assert np.isnan(struck.at("largest_drop", source="y")).all()
  healthy = study.after_divergence(dataclasses.replace(measured), networks(x=[""], y=[""]))
  assert healthy.at("largest_drop", source="x").tolist() == [[1, 1, 1, 1]]


# They hand on files, and say so themselves of a teacher that has diverged.
@pytest.mark.parametrize("kind", sorted(set(STUDIES) - {"target_maps"}))
def test_wherever_a_layout_names_a_network_that_diverged_there_is_no_number(kind):
  # Chances need two networks of a kind.
  study = read_study("s", MANIFOLD if kind == "manifold" else {"kind": kind, **STUDY[kind]})
  names = study.networks(NAMES)
  layout = study.layout(names, (0,), load("kim_toy" if kind == "boundary" else "digits"))
  random, size = np.random.default_rng(0), {a: len(k) for a, k in layout.coordinates.items()}
  arrays = {
    name: random.uniform(size=[size.get(axis, 4) for axis in axes])
    for name, axes in layout.axes.items()
  }
  for lost in names:
    found = networks(**{name: ["loss became nan" if name == lost else ""] for name in names})
    struck = struck_out(Result("s", kind, layout, arrays), found)
    after = study.after_divergence(struck, found)
    places = [
      (name, place, axes.index(axis))
      for name, axes in layout.axes.items()
      for axis in axes
      for place, known in enumerate(layout.coordinates.get(axis, ()))
      # A way of reading is called like one of these networks.
      if known == lost and axis != "reading"
    ]
    for name, place, along in places:
      assert np.isnan(after.arrays[name].take(place, axis=along)).all(), (name, lost)
    autoencoder = kind == "manifold" and lost == study.autoencoder
    assert places or autoencoder or lost == getattr(study, "source", None)


def diverging(names):
  """The experiment, with a learning rate that makes these networks diverge."""
  config = copy.deepcopy(CONFIG)
  del config["models"]["pgd"], config["studies"]["saliency"]
  config["models"]["other"] = {**config["models"]["standard"], "seed_offset": 5}
  for name in names:
    config["models"][name]["optimizer"] = {"name": "adam", "learning_rate": 1e30}
  for name in ("other", "distilled"):
    claim = {**config["claims"][0], "id": name, "at": {"model": name}, "at_least": -9}
    config["claims"].append(claim)
  config["studies"]["lambda"] = {
    "kind": "selection",
    "reference": "standard",
    "source": "standard",
    "families": {"chosen": {"other": 1.0, "standard": 2.0}},
    "attack": {"name": "fgsm"},
    "epsilon": 0.1,
    "examples": 50,
    "keep": 0.0,
  }
  config["dataset"]["validation"] = 100
  return config


def test_a_network_that_diverges_is_nan_in_its_row_and_nowhere_else(tmp_path, monkeypatch):
  config = diverging(["other"])
  Experiment(config, tmp_path).run(command=COMMAND)
  claims = json.loads((tmp_path / "data" / "claims.json").read_text())
  holds = "holds in this run"
  assert [claim["verdict"] for claim in claims] == [holds, "undecided", holds]
  assert [claim["value"] is None for claim in claims] == [False, True, False]
  correct = arrays(tmp_path, "accuracy")["correct"]
  assert np.isnan(correct).all(axis=(1, 2)).tolist() == [False, False, True]
  assert not np.isnan(correct[:2]).any()
  transfer = arrays(tmp_path, "transfer")["correct"]
  assert np.isnan(transfer).all(axis=(0, 1, 4)).tolist() == [[False] * 2 + [True]] * 2 + [
    [True] * 3
  ]
  assert about(tmp_path, "lambda")["metadata"]["chosen"] == {"chosen": "standard"}
  page = (tmp_path / "report.html").read_text()
  assert "The training of other, seed 1, has diverged (" in page
  monkeypatch.setattr(
    "robust_saliency.training.loop.replicate", lambda *a: pytest.fail("a step was taken")
  )
  Experiment(config, tmp_path).run(command=COMMAND)


@pytest.mark.slow
def test_an_experiment_of_which_all_networks_diverge_ends_with_its_report(tmp_path):
  # The third one is taught by the first.
  Experiment(diverging(["standard", "other"]), tmp_path).run(command=COMMAND)
  claims = json.loads((tmp_path / "data" / "claims.json").read_text())
  assert [claim["verdict"] for claim in claims] == ["undecided"] * 3
  assert "its teacher has diverged" in (tmp_path / "report.html").read_text()
