"""A number has one interval, whether a claim judges it or the page shows it."""

import numpy as np
import pytest

from robust_saliency.drawing import epsilon_curves, palette
from robust_saliency.drawing.formatting import percent_range
from robust_saliency.report import accuracy, evaluation, robustness
from robust_saliency.report import transfer as transfer_section
from robust_saliency.studies import MEASURES, StudyResult

MODELS = ["a", "b"]
ATTACK = {"name": "fgsm", "label": "FGSM", "norm": "linf"}


def correct(*shape, images=50):
  return np.random.default_rng(0).random((*shape, images)) < 0.9


def study(kind, arrays, networks, **facts):
  seeds = list(range(networks))
  return StudyResult(kind, kind, arrays, {"models": MODELS, "seeds": seeds, **facts})


def styles():
  return palette.model_styles(MODELS)


def of_accuracy(networks):
  result = study("accuracy", {"correct": correct(2, networks)}, networks, split="test")
  (table,) = accuracy.section(result, {}).tables
  return result, {"model": "b"}, table.groups[0].rows[1].cells[1], table.caption


def of_robustness(networks, monkeypatch):
  result = study(
    "robustness", {"correct": correct(1, 2, networks, 2)}, networks,
    attacks=[ATTACK], epsilons=[0.1, 0.2],
  )  # fmt: skip
  drawn = []
  picture = epsilon_curves.picture
  monkeypatch.setattr(
    epsilon_curves, "picture", lambda *args: (drawn.append(args[3]), picture(*args))[1]
  )
  section = robustness.section(result, styles())
  band = drawn[0][1, 0].one()
  settings = {"model": "b", "attack": "fgsm", "epsilon": 0.1}
  return result, settings, percent_range(band.low, band.high), section.pictures[0].caption


def of_transfer(networks):
  result = study(
    "transfer", {"correct": correct(networks, 1, 2, 2)}, networks, attack=ATTACK, epsilons=[0.1]
  )
  (table,) = transfer_section.section(result, {}).tables
  cell = table.groups[0].rows[0].cells[1]
  settings = {"source": "a", "target": "b", "epsilon": 0.1}
  return result, settings, cell[cell.index("(") + 1 : -1], table.caption


def of_evaluation(networks):
  robust = correct(1, 2, networks)
  result = study(
    "evaluation", {"correct": np.ones_like(robust[0]), "robust": robust}, networks,
    attacks=[ATTACK], epsilon=0.1, norm="linf", warnings={},
  )  # fmt: skip
  table = evaluation.section(result, {}).tables[0]
  cell = table.groups[0].rows[1].cells[-1]
  return result, {"model": "b", "attack": "fgsm"}, cell[cell.index("(") + 1 : -1], table.caption


SHOWN = {
  "accuracy": of_accuracy,
  "robust_accuracy": of_robustness,
  "transfer_accuracy": of_transfer,
  "evaluated_accuracy": of_evaluation,
}
# Half of the images choose the network, so that no table has this number.
CHOSEN_FIRST = {"highest_transfer_accuracy"}


def test_every_accuracy_among_the_measures_is_compared_here():
  accuracies = {name for name in MEASURES if name.endswith("accuracy")}
  assert accuracies == SHOWN.keys() | CHOSEN_FIRST


@pytest.mark.parametrize("networks", [1, 2, 3])
@pytest.mark.parametrize("name", SHOWN)
def test_a_claim_and_the_page_give_the_same_number_the_same_interval(name, networks, monkeypatch):
  show = SHOWN[name]
  more = (monkeypatch,) if show is of_robustness else ()
  result, settings, printed, caption = show(networks, *more)
  estimate = MEASURES[name]({result.name: result}, study=result.name, **settings)
  assert percent_range(estimate.low, estimate.high) == printed
  assert f"95 % interval over {estimate.over}" in caption
