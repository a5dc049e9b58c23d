"""A small report whose numbers can be checked by hand."""

import numpy as np
import pytest

from robust_saliency import report
from robust_saliency.results import Estimate
from robust_saliency.results.claims import Claim, Judged
from robust_saliency.results.result import Result
from robust_saliency.studies.accuracy import Accuracy
from robust_saliency.studies.robustness import Robustness
from robust_saliency.studies.saliency import Saliency
from robust_saliency.studies.training import training_curves
from robust_saliency.studies.transfer import Transfer
from robust_saliency.studies.transfer.quantities import derived

MODELS = ("standard", "PGD & <script>alert('x')</script> $\\frac$")
SEEDS = (0, 7)
ATTACKS = [
  {"name": "fgsm", "label": "FGSM", "norm": "linf"},
  {"name": "pgd l2", "label": "PGD-40", "norm": "l2"},
]
STUDIES = {
  "clean": Accuracy(),
  "robust/ness": Robustness(attacks={"fgsm": {}, "pgd l2": {}}, epsilons=(0.0, 0.1, 0.2)),
  "transfer": Transfer(attack={"name": "fgsm"}, epsilons=(0.2,)),
  "gradients": Saliency(attribution={"name": "gradient"}),
}


def result(name, arrays, **metadata):
  study = STUDIES[name]
  layout = study.layout(MODELS, SEEDS, dataset=None)
  return Result(name, study.kind, layout, arrays, metadata)


def hits(counts, examples):
  """Booleans [..., examples] of which the first `counts` [...] are true."""
  return np.arange(examples) < np.asarray(counts)[..., None]


@pytest.fixture
def accuracy():
  # Of 8 examples: the first network 8 and 6 over its two seeds, the second 5 and 4.
  return result("clean", {"correct": hits([[8, 6], [5, 4]], 8)})


@pytest.fixture
def robustness():
  # [attack, model, seed, epsilon], of 10 examples.
  counts = [
    [[[10, 4, 0], [8, 2, 2]], [[9, 9, 8], [9, 7, 6]]],
    [[[10, 0, 0], [8, 0, 0]], [[9, 5, 1], [9, 5, 3]]],
  ]
  norms = dict(zip(MODELS, (None, "linf"), strict=True))
  radii = dict(zip(MODELS, (None, 0.1), strict=True))
  arrays = {"correct": hits(counts, 10)}
  metadata = {"attacks": ATTACKS, "training_epsilons": radii, "training_norms": norms}
  return result("robust/ness", arrays, **metadata)


@pytest.fixture
def transfer():
  # [seed, epsilon, source, target], of 4 examples.
  correct = hits([[[[0, 3], [4, 1]]], [[[2, 3], [3, 1]]]], 4)
  arrays = {"correct": correct, **derived(correct, STUDIES["transfer"].epsilons)}
  return result("transfer", arrays, attack=ATTACKS[0])


@pytest.fixture
def saliency():
  random = np.random.default_rng(0)
  arrays = {
    "images": random.random((3, 8, 8, 1)).astype(np.float32),
    "maps": random.standard_normal((2, 3, 8, 8, 1)).astype(np.float32),
    "labels": np.array([0, 1, 2]),
    "predictions": np.array([[0, 1, 2], [0, 2, 2]]),
  }
  method = {"name": "gradient", "label": "Gradient", "signed": True}
  return result("gradients", arrays, method=method, classes=["zero", "one", "two"])


def claim(**fields):
  return Claim(**{"id": "C1", "says": "It holds.", "of": "clean.correct", **fields})


@pytest.fixture
def claims():
  """Two of the paper on this data set, and one each on another and of our own."""
  over = "8 test images and 3 networks"
  return [
    Judged(
      claim(id="C1 a", says="More & more", where="<i>section 4</i>", at_least=0.25),
      "supported",
      Estimate(0.431, 0.39, 0.47, over, 3),
      "0.4",
    ),
    Judged(
      claim(id="C1 b", says="Less", at_most=0.25, about=("digits", "mnist")),
      "refuted",
      Estimate(0.5, 0.4, 0.6, over, 3),
    ),
    Judged(
      claim(id="C2", says="Perhaps", at_least=0.25, about=("svhn",)),
      "undecided",
      Estimate(0.2, -np.inf, np.inf, "one network; no images are kept", 1),
    ),
    Judged(
      claim(id="accurate", says="Ours", at_least=0.4, about=("ours",)),
      "holds in this run",
      Estimate(0.5, 0.45, 0.6, "8 test images, one network", 1),
    ),
  ]


@pytest.fixture
def training():
  return {
    model: [
      {"seed": seed, "step": step, "loss": 1.0 / (1 + step), "accuracy": step / 10}
      for seed in SEEDS
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
def findings(accuracy, robustness, transfer, saliency, training, run):
  """What an experiment has found; its studies in another order than the page's."""
  return report.Findings(
    title="Digits <script>alert(1)</script>",
    command="python -m robust_saliency.main --config='a<b'",
    summary="Two networks & what became of them.",
    scale="small",
    dataset="digits",
    results=[saliency, transfer, robustness, accuracy],
    curves=training_curves(training, SEEDS),
    run=run,
  )


@pytest.fixture
def arguments(findings, claims):
  """What an experiment hands to `report.write`."""
  pages = {name: study.page for name, study in STUDIES.items()}
  return {"findings": findings, "claims": claims, "pages": pages}


@pytest.fixture
def page(tmp_path, arguments):
  """The path of a written report."""
  return report.write(tmp_path / "report", **arguments)
