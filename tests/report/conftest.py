"""Small studies of every kind whose numbers can be checked by hand."""

import numpy as np
import pytest

from robust_saliency import report
from robust_saliency.studies.claims import ClaimResult
from robust_saliency.studies.result import StudyResult

MODELS = ["standard", "PGD & <script>alert('x')</script> $\\frac$"]
ATTACKS = [
  {"name": "fgsm", "label": "FGSM", "norm": "linf"},
  {"name": "pgd l2", "label": "PGD-40", "norm": "l2"},
]
EPSILONS = [0.0, 0.1, 0.2]


def hits(counts, examples):
  """Booleans [..., examples] of which the first `counts` [...] are true."""
  return np.arange(examples) < np.asarray(counts)[..., None]


@pytest.fixture
def accuracy_study():
  # Of 8 examples: the first network 8 and 6 over its two seeds, the second 5 and 4.
  return StudyResult(
    "clean",
    "accuracy",
    {"correct": hits([[8, 6], [5, 4]], 8)},
    {"models": MODELS, "seeds": [0, 7], "split": "test"},
  )


@pytest.fixture
def robustness_study():
  # [attack, model, seed, epsilon], of 10 examples.
  counts = [
    [[[10, 4, 0], [8, 2, 2]], [[9, 9, 8], [9, 7, 6]]],
    [[[10, 0, 0], [8, 0, 0]], [[9, 5, 1], [9, 5, 3]]],
  ]
  return StudyResult(
    "robust/ness",
    "robustness",
    {"correct": hits(counts, 10)},
    {
      "models": MODELS,
      "seeds": [0, 7],
      "attacks": ATTACKS,
      "epsilons": EPSILONS,
      "training_epsilons": {MODELS[0]: None, MODELS[1]: 0.1},
      "training_norms": {MODELS[0]: None, MODELS[1]: "linf"},
    },
  )


@pytest.fixture
def transfer_study():
  # [seed, epsilon, source, target], of 4 examples.
  counts = [[[[0, 3], [4, 1]]], [[[2, 3], [3, 1]]]]
  return StudyResult(
    "transfer",
    "transfer",
    {"correct": hits(counts, 4)},
    {"models": MODELS, "seeds": [0, 7], "attack": ATTACKS[0], "epsilons": [0.2]},
  )


@pytest.fixture
    },
  )


@pytest.fixture
def claims():
  common = {
    "source": "Ross & Doshi-Velez 2018, <i>section 4</i>",
    "interval": "95 % over 3 seeds",
    "threshold": 0.25,
    "scale": "smoke",
  }
  return [
    ClaimResult(
      statement="More & more",
      paper_value="0.4",
      value=0.431,
      low=0.39,
      high=0.47,
      relation=">=",
      verdict="supported",
      **common,
    ),
    ClaimResult(
      statement="Less",
      paper_value=None,
      value=0.5,
      low=0.4,
      high=0.6,
      relation="<=",
      verdict="refuted",
      **common,
    ),
    ClaimResult(
      statement="Perhaps",
      paper_value=None,
      value=0.2,
      low=-np.inf,
      high=np.inf,
      relation=">=",
      verdict="undecided",
      **common,
    ),
  ]


@pytest.fixture
def training():
  return {
    model: [
      {"seed": seed, "step": step, "loss": 1.0 / (1 + step), "accuracy": step / 10}
      for seed in (0, 7)
      for step in range(5)
    ]
    for model in MODELS
  }


@pytest.fixture
def run():
  return {
    "config": {"data": {"name": "digits"}, "epsilon": 0.2, "note": "<b>"},
    "versions": {"jax": "0.10.2", "flax": "0.12"},
    "devices": ["cpu", "cpu"],
    "precision": "float32",
    "wall_seconds": {"train standard": 75.0, "report": 0.3},
    "date": "2000-01-01",
  }


@pytest.fixture
def arguments(
  accuracy_study, robustness_study, transfer_study, saliency_study, claims, training, run
):
  """What a launcher hands to `report.write`; the studies in another order than the page's."""
  return {
    "title": "Digits <script>alert(1)</script>",
    "command": "python -m robust_saliency.main --config='a<b'",
    "summary": "Two networks & what became of them.",
    "claims": claims,
    "results": [saliency_study, transfer_study, robustness_study, accuracy_study],
    "training": training,
    "run": run,
  }


@pytest.fixture
def page(tmp_path, arguments):
  """The path of a written report."""
  return report.write(tmp_path / "report", **arguments)
