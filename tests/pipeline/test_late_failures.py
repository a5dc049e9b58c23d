"""What would fail hours later is refused while the config is checked, by name."""

import copy
import math

import pytest

from robust_saliency.pipeline import Experiment

FGSM = {"name": "fgsm"}
PGD = {"name": "pgd", "epsilon": 0.1, "steps": 2}
CONFIG = {
  "title": "An experiment",
  "dataset": {"name": "digits", "validation": 100},
  "seeds": [0, 1],
  "models": {
    "standard": {
      "architecture": {"name": "mlp", "hidden": [4]},
      "objective": {"cross_entropy": {}},
      "optimizer": {"name": "adam", "learning_rate": 0.01},
      "early_stopping": {"attack": PGD},
      "batch_size": 100,
      "steps": 30,
    },
    "pgd": {
      "architecture": {"name": "mlp", "hidden": [4]},
      "objective": {"adversarial": {"attack": PGD}},
      "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9},
      "probe": {"every": 10, "examples": 50, "source": "standard"},
      "batch_size": 100,
      "epochs": 1,
    },
  },
  "studies": {
    "robustness": {"kind": "robustness", "attacks": {"f": FGSM}, "epsilons": [0.1]},
    "transfer": {"kind": "transfer", "attack": FGSM, "epsilons": [0.1]},
    "evaluation": {"kind": "evaluation", "attacks": {"f": FGSM}, "epsilon": 0.1, "probed": 3},
    "saliency": {"kind": "saliency", "attribution": {"name": "gradient"}},
    "selection": {
      "kind": "selection",
      "families": {"chosen": {"pgd": 1.0}},
      "reference": "standard",
      "source": "standard",
      "attack": FGSM,
      "epsilon": 0.1,
    },
  },
  "claims": [
    {
      "id": "robust",
      "says": "It is robust.",
      "about": ["ours"],
      "of": "robustness.correct",
      "at": {"attack": "f", "model": "pgd", "epsilon": 0.1},
      "statistic": "share",
      "at_least": 0.2,
    }
  ],
}
LEFT_OUT = "left out"

# Path in the config, values, what the sentence names.
LATE = [
  # Settings of studies that are missing, or hold nothing.
  ("studies.transfer.attack", [LEFT_OUT], "needs the field 'attack'"),
  ("studies.transfer.epsilons", [LEFT_OUT, []], "epsilons"),
  ("studies.robustness.attacks", [LEFT_OUT, {}], "attacks"),
  ("studies.robustness.epsilons", [LEFT_OUT, []], "epsilons"),
  ("studies.saliency.attribution", [LEFT_OUT], "attribution"),
  ("studies.evaluation.epsilon", [LEFT_OUT, None], "epsilon"),
  ("studies.robustness.models", [[]], "models"),
  ("studies.selection.families.chosen", [{}], "families.chosen"),
  # Settings of attacks, which nothing fills in.
  ("studies.evaluation.attacks.f", [{"name": "square", "queries": 0}], "attacks.f"),
  ("studies.robustness.attacks.f.label", [None], "label"),
  ("studies.saliency.attribution.label", [[1]], "label"),
  ("studies.robustness.attacks.f.temperature", [math.nan], "temperature"),
  ("studies.evaluation.probed", ["abc", -1, math.nan, None, 10**400], "probed"),
  # Classes that do not fit the data set.
  ("models.standard.architecture.num_classes", [2, 9, 11, 0, None, 10**400], "num_classes"),
  # Early stopping's attack.
  (
    "models.standard.early_stopping.attack",
    [FGSM, {**PGD, "epsilon": -1}, {**PGD, "steps": 0}, {**PGD, "steps": 1e30}, "pgd", 5, {}],
    "early_stopping",
  ),
  ("models.standard.early_stopping.first", [-1, 10**6, "a", 1.5], "first"),
  ("models.standard.early_stopping.every", [0, -1, "a", math.nan], "every"),
  ("models.standard.early_stopping.batch_size", [0, "a", None], "batch_size"),
  # Numbers of the training.
  ("models.standard.optimizer.b1", [math.nan, -1, 5, "a"], "b1"),
  ("models.standard.optimizer.eps", [math.nan, -1], "eps"),
  ("models.pgd.optimizer.momentum", [5], "momentum"),
  ("models.standard.log_every", [None, 0, "a", 1e30], "log_every"),
  ("models.standard.checkpoint_every", [None, 0], "checkpoint_every"),
  ("models.standard.batch_size", [10**400, 1e30, None], "batch_size"),
  ("models.pgd.objective.adversarial.attack.steps", [1e30, 10**400, 0, None], "steps"),
  ("models.pgd.objective.adversarial.weight", [math.nan], "weight"),
  ("models.pgd.probe.examples", [10**6, 0, "a"], "examples"),
  ("models.pgd.probe.source", ["standrad", "pgd", 5], "source"),
  ("models.pgd.seed_offset", [1e30, 2**40, -1, "a"], "seed_offset"),
  ("seeds", [[2**63], [1e30], [0, 0], [1.5]], "seeds"),
  ("dataset.validation", [10**6, -1, "a"], "config.dataset"),
  # Claims.
  ("claims.0.at_least", [math.nan, 10**400], "at_least"),
  ("claims.0.at", [{"model": "pdg"}], "claim 'robust'"),
]  # fmt: skip
CASES = [(path, value, named) for path, values, named in LATE for value in values]


def with_value(path, value):
  config = copy.deepcopy(CONFIG)
  *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
  node = config
  for part in parents:
    node = node[part]
  if value == LEFT_OUT:
    del node[last]
  else:
    node[last] = value
  return config


def test_the_config_itself_is_accepted(tmp_path):
  Experiment(CONFIG, tmp_path / "new")


@pytest.mark.parametrize(("path", "value", "named"), CASES, ids=lambda one: str(one)[:60])
def test_it_is_refused_before_any_training(path, value, named, tmp_path):
  with pytest.raises((ValueError, TypeError)) as refused:
    Experiment(with_value(path, value), tmp_path / "new")
  sentence = str(refused.value)
  assert named in sentence
  assert "\n" not in sentence
  assert len(sentence) < 600
  assert not (tmp_path / "new").exists()
