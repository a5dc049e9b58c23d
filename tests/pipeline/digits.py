"""An experiment on a few real digits: its config, and what is in its folder."""

import copy
import json

import numpy as np

from robust_saliency.core import files
from robust_saliency.pipeline import Experiment

ATTACK = {"name": "pgd", "epsilon": 0.2, "steps": 2, "unroll": False}
CONFIG = {
  "title": "A <small> experiment",
  "summary": "Two networks.",
  "scale": "test",
  "dataset": {"name": "digits"},
  "seeds": (0, 1),
  "models": {
    "standard": {
      "architecture": {"name": "mlp", "hidden": (16,)},
      "objective": {"cross_entropy": {"temperature": 2.0}},
      "optimizer": {"name": "adam", "learning_rate": 0.01},
      "batch_size": 100,
      "steps": 30,
      "log_every": 10,
    },
    "pgd": {
      "architecture": {"name": "mlp", "hidden": (16,)},
      "objective": {"adversarial": {"attack": ATTACK}},
      "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9},
      "batch_size": 100,
      "epochs": 2,
    },
    "distilled": {
      "architecture": {"name": "mlp", "hidden": (16,)},
      "objective": {"distillation": {"temperature": 2.0}},
      "optimizer": {"name": "adam", "learning_rate": 0.01},
      "batch_size": 100,
      "steps": 20,
      "teacher": "standard",
    },
  },
  "studies": {
    "accuracy": {"kind": "accuracy", "examples": 100},
    "robustness": {
      "kind": "robustness",
      "attacks": {"fgsm": {"name": "fgsm", "label": "FGSM"}},
      "epsilons": (0.0, 0.2),
      "examples": 100,
    },
    "transfer": {
      "kind": "transfer",
      "attack": {"name": "fgsm"},
      "epsilons": (0.2,),
      "examples": 100,
    },
    "saliency": {"kind": "saliency", "attribution": {"name": "gradient"}},
  },
  "claims": [
    {
      "id": "learned",
      "says": "The standard network has learned something.",
      "about": ["ours"],
      "of": "accuracy.correct",
      "at": {"model": "standard"},
      "statistic": "share",
      "at_least": 0.2,
    }
  ],
}
COMMAND = "python -m robust_saliency.main --config=c.py --workdir=w"


def changed(path, value):
  config = copy.deepcopy(CONFIG)
  node = config
  *parents, last = path.split(".")
  for part in parents:
    node = node[part]
  node[last] = value
  return config


def arrays(workdir, study):
  return np.load(workdir / "studies" / files.slug(study) / "result.npz")


def about(workdir, study):
  return json.loads((workdir / "studies" / files.slug(study) / "result.json").read_text())


def train(config, workdir, **settings):
  config = {**config, "studies": {}, "claims": []}
  experiment = Experiment(config, workdir, **settings)
  return experiment.trained(experiment.compute())


def contents(folder):
  return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
