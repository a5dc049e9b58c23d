"""What holds for every measure that a claim may name."""

import numpy as np
import pytest

from robust_saliency.studies import MEASURES, StudyResult, judge_claim, training_curves

IMAGES, MODELS = 24, ["a", "b"]
EPSILONS, ATTACKS = [0.1, 0.2], [{"name": "fgsm"}]


def results(networks, value):
  """Networks that are all alike: right on every image, or wrong on every one."""
  correct = np.full((2, networks, IMAGES), value, bool)

  def of(kind, *, models=MODELS, **arrays):
    facts = {
      "models": models, "epsilons": EPSILONS, "attacks": ATTACKS, "targets": ["y"],
      "reference": "a", "families": {"f": {"b": 1.0, "c": 2.0}},
    }  # fmt: skip
    return StudyResult(kind, kind, arrays, facts)

  grid = np.full((networks, 2, 2, 2, IMAGES), value, bool)
  number = np.full((2, networks, IMAGES), 0.1 * value)
  labels = np.arange(IMAGES) % 3
  curve = {"probe_fgsm_accuracy": float(value), "probe_gradient": 0.1 * value}
  rows = [{"seed": seed, "step": step, **curve} for seed in range(networks) for step in (1, 2)]
  studies = [
    of("accuracy", correct=correct),
    of("robustness", correct=np.repeat(correct[None, :, :, None], 2, axis=3)),
    of("transfer", correct=grid),
    of("evaluation", robust=correct[None]),
    of("gradients", lengths=number[None], log_probabilities=number[..., None] - np.arange(3)),
    of("map_quality", gini=number),
    of("selection", models=["a", "b", "c"], attacked=np.concatenate([correct, correct[:1]])),
    of(
      "targeted", labels=labels, targets=np.arange(3),
      predictions=np.broadcast_to(np.arange(3) if value else labels[:, None], (2, 2, IMAGES, 3)),
      images=np.zeros((IMAGES, 2, 2, 1)), adversarial=np.full((2, IMAGES, 3, 2, 2, 1), value),
    ),
    training_curves({"a": rows, "b": rows}, range(networks), examples={"a": 50, "b": 50}),
  ]  # fmt: skip
  return {study.name: study for study in studies}


PAIR = {"model": "a", "baseline": "b"}
SETTINGS = {
  "accuracy": {"study": "accuracy", "model": "a"},
  "accuracy_kept": {"study": "accuracy", **PAIR},
  "robust_accuracy": {"study": "robustness", "model": "a", "attack": "fgsm", "epsilon": 0.1},
  "robust_accuracy_gap": {"study": "robustness", **PAIR, "attack": "fgsm", "epsilon": 0.1},
  "transfer_accuracy": {"study": "transfer", "source": "a", "target": "b", "epsilon": 0.1},
  "transfer_accuracy_gap": {
    "study": "transfer", "source": "a", "target": "b", "baseline": "a", "epsilon": 0.1,
  },
  "transfer_accuracy_change": {
    "study": "transfer", "source": "a", "target": "b", "epsilon": 0.2, "smaller_epsilon": 0.1,
  },
  "highest_transfer_accuracy": {"study": "transfer", "source": "a", "epsilon": 0.1},
  "largest_transfer_drop": {"study": "transfer", "source": "a"},
  "jointly_fooled": {"study": "transfer", "source": "a", "targets": MODELS, "epsilon": 0.1},
  "evaluated_accuracy": {"study": "evaluation", "model": "a", "attack": "fgsm"},
  "gradient_is_zero": {"study": "gradients", "model": "a", "target": "y"},
  "gradient_log_ratio": {"study": "gradients", **PAIR, "target": "y"},
  "gradient_length_gap": {"study": "gradients", **PAIR, "target": "y"},
  "target_rate": {"study": "targeted", "model": "a"},
  "target_rate_gap": {"study": "targeted", **PAIR, "tested_on": "a"},
  "stroke_size_gap": {"study": "targeted", **PAIR},
  "map_quality_gap": {"study": "map_quality", **PAIR, "number": "gini"},
  "probe_change": {"model": "a", "metric": "probe_fgsm_accuracy"},
  "probe_log_ratio": {**PAIR, "metric": "probe_gradient"},
  "other_log_probability": {"study": "gradients", "model": "a"},
  "other_log_probability_gap": {"study": "gradients", **PAIR},
  "best_of_family": {"study": "selection", "family": "f"},
}  # fmt: skip
# Of these there is only the first seed's networks, whatever the seeds.
OF_ONE_NETWORK = {"target_rate", "target_rate_gap", "stroke_size_gap"}


def test_no_measure_is_forgotten_here():
  assert SETTINGS.keys() == MEASURES.keys()


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("networks", [1, 2, 3])
@pytest.mark.parametrize("name", SETTINGS)
def test_no_claim_s_interval_has_zero_width_where_all_are_alike(name, networks, value):
  claim = {
    "statement": "x", "source": "y", "relation": ">=", "threshold": 0.5,
    "measure": {"name": name, **SETTINGS[name]},
  }  # fmt: skip
  judged = judge_claim(claim, results(networks, value), scale="")
  if np.isnan(judged.value):
    assert (name, value) in {("accuracy_kept", 0), ("jointly_fooled", 1)}
    assert judged.verdict == "undecided"
    return
  assert judged.low <= judged.value <= judged.high
  assert judged.low < judged.high
  many = networks > 2 and name not in OF_ONE_NETWORK
  words = {"supported", "refuted"} if many else {"holds in this run", "fails in this run"}
  assert judged.verdict in {"undecided", *words}
