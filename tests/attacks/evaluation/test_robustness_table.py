"""Rows of public tables of robustness."""

import json

import numpy as np
import pytest

from robust_saliency.attacks import Evaluation, Verdicts
from robust_saliency.attacks.evaluation.robustness_table import robustness_row

N = 10_000
CORRECT = np.arange(N) < 8969


def row(*, norm="linf", epsilon=8 / 255, **left):
  """Each attack leaves so many of the images that are right."""
  found = {name: verdicts(np.arange(N) < count) for name, count in left.items()}
  worst = np.arange(N) < min(left.values())
  return robustness_row(
    Evaluation(CORRECT, worst, found, {}, {"convergence": ["Not converged."]}),
    dataset="cifar10",
    architecture="WideResNet-28-10",
    norm=norm,
    epsilon=epsilon,
  )


def verdicts(robust):
  broken, once = (CORRECT & ~robust)[None], np.ones(1)
  nowhere = np.zeros_like(broken)
  return Verdicts(("it",), CORRECT, CORRECT[None], broken, nowhere, np.zeros(N), robust, once, once)


def test_a_row_has_the_fields_and_the_form_of_a_published_one():
  """model_info/cifar10/Linf/Carmon2019Unlabeled.json of RobustBench, whose numbers these are."""
  published = {
    "link": "", "name": "", "authors": "", "venue": "",
    "number_forward_passes": 1, "dataset": "cifar10", "architecture": "WideResNet-28-10",
    "eps": "8/255", "clean_acc": "89.69", "autoattack_acc": "59.53",
  }  # fmt: skip
  found = json.loads(json.dumps(row(autoattack=5953, pgd=6200)))
  assert {field: found[field] for field in published} == published
  assert "external" not in found
  assert (found["threat_model"], found["robust_acc"], found["examples"]) == ("Linf", "59.53", N)
  assert [(one["attack"], one["accuracy"]) for one in found["attacks"]] == [
    ("autoattack", "59.53"),
    ("pgd", "62"),
  ]
  assert found["warnings"] == {"convergence": ["Not converged."]}


def test_a_lower_worst_case_is_external_and_another_autoattack_is_not_the_standard_one():
  lower = row(autoattack=5953, square=5950)
  assert (lower["autoattack_acc"], lower["external"]) == ("59.53", "59.5")
  other = row(**{"autoattack:steps=20": 5953})
  assert "autoattack_acc" not in other
  assert other["robust_acc"] == "59.53"
  assert other["attacks"][0]["attack"] == "autoattack:steps=20"


@pytest.mark.parametrize(
  ("norm", "epsilon", "shown"),
  [("l2", 0.5, ("L2", "0.5")), ("linf", 0.3, ("Linf", "0.3")), ("l1", 12, ("L1", "12"))],
)
def test_the_threat_model_is_written_as_the_folders_and_the_radii_are(norm, epsilon, shown):
  found = row(norm=norm, epsilon=epsilon, autoattack=1)
  assert (found["threat_model"], found["eps"]) == shown
