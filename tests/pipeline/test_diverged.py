"""What a network that has diverged leaves in results: NaN in its own places, and nowhere else."""

import dataclasses

import numpy as np

from robust_saliency.pipeline.diverged import struck_out
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.transfer import Transfer
from robust_saliency.studies.transfer.quantities import derived
from robust_saliency.training import TrainedNetwork


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
