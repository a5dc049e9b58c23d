"""Claims: a paper's sentence, a number that our run measured, and a verdict.

A claim is one of `measures.MEASURES`; a threshold that stands in the config; and a rule:
*supported* where the 95 % interval lies on the claim's side of the threshold, *refuted* where it
lies on the other, *undecided* where it straddles. One or two networks cannot speak for others: then
it *holds in this run* or *fails in this run*. A claim that no run of ours can judge says what it
needs instead, people's votes for instance.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency.core import checks
from robust_saliency.core.binding import bind
from robust_saliency.results import judge
from robust_saliency.studies.map_quality import NUMBERS
from robust_saliency.studies.measures import MEASURES
from robust_saliency.studies.result import StudyResult
from robust_saliency.studies.selection import compared
from robust_saliency.studies.training_curves import TRAINING, training_curves

CLAIM_FIELDS = ("statement", "source", "paper_value", "measure", "relation", "threshold", "needs")
NEEDS = ("votes", "a benchmark")


@dataclasses.dataclass(frozen=True)
class ClaimResult:
  """A claim, judged.

  Attributes:
    statement: what is claimed, a sentence.
    source: where (paper, section, figure).
    paper_value: the paper's own number, as printed; None where it gives none.
    verdict: "supported", "refuted", "undecided", for one or two networks "holds in this run" and
      "fails in this run" instead of the first two, or what it needs ("needs votes").
    scale: at which scale it was measured ("full", "small", ...).
    value: our number; None, like all below, where the claim could not be judged.
    low: lower end of its 95 % interval.
    high: upper end.
    interval: what the interval is over ("95 % over 500 test images and 3 networks").
    relation: ">=" or "<=".
    threshold: what `value` is held against.
  """

  statement: str
  source: str
  paper_value: str | None
  verdict: str
  scale: str
  value: float | None = None
  low: float | None = None
  high: float | None = None
  interval: str = ""
  relation: str = ""
  threshold: float | None = None


def judge_claim(
  claim: Mapping[str, Any], results: Mapping[str, StudyResult], *, scale: str
) -> ClaimResult:
  """Measures one claim of a config and judges it.

  Args:
    claim: "statement", "source", optional "paper_value", "relation", "threshold", and "measure":
      {"name": one of `MEASURES`, and its settings}; or, instead of the last three, "needs": one of
      `NEEDS`.
    results: the studies' results by name.
    scale: the experiment's scale, repeated in the result.

  Returns:
    The claim with our number, its interval and the verdict.

  Raises:
    ValueError: for an unknown measure, study, model, attack or epsilon.
  """
  what = _printed(claim, scale)
  if "needs" in claim:
    return ClaimResult(**what, verdict=f"needs {claim['needs']}")
  measured = bind(MEASURES, claim["measure"], what="measure")(results)
  return ClaimResult(
    **what,
    value=measured.value,
    low=measured.low,
    high=measured.high,
    interval=f"95 % over {measured.over}",
    relation=claim["relation"],
    threshold=claim["threshold"],
    verdict=judge(measured, claim["relation"], claim["threshold"]),
  )


def undecided_claim(claim: Mapping[str, Any], *, scale: str) -> ClaimResult:
  """A claim without a number, since the training of a network that it names has diverged."""
  return ClaimResult(
    **_printed(claim, scale),
    verdict="undecided",
    relation=claim["relation"],
    threshold=claim["threshold"],
  )


def check_claim(
  claim: Mapping[str, Any],
  study_settings: Mapping[str, Mapping[str, Any]],
  models: Sequence[str],
  seeds: Sequence[int],
  *,
  probed: Mapping[str, Sequence[str]] | None = None,
) -> None:
  """Refuses a claim that could not be judged once the studies have been run.

  Args:
    claim: as in `judge_claim`.
    study_settings: the config's studies by name.
    models: the names of the models.
    seeds: the seeds.
    probed: model -> the metrics that its probe will write; None where there are no probes.

  Raises:
    ValueError: for a missing field, or an unknown measure, study, model, attack or epsilon.
  """
  judged = () if "needs" in claim else ("measure", "relation", "threshold")
  for field in ("statement", "source", *judged):
    if field not in claim:
      raise ValueError(f"a claim needs the field {field!r}, got {', '.join(claim)}")
  for field in claim:
    checks.one_of(field, CLAIM_FIELDS, argument="field of a claim")
  if "needs" in claim:
    checks.one_of(claim["needs"], NEEDS, argument="needs")
  rehearsal = {
    name: _blank(name, settings, list(models), len(seeds))
    for name, settings in study_settings.items()
  }
  last_rows = {
    model: [{"seed": seed, "step": 1, **dict.fromkeys(metrics, 1.0)} for seed in seeds]
    for model, metrics in (probed or {}).items()
  }
  rehearsal[TRAINING] = training_curves(last_rows, seeds, examples=dict.fromkeys(last_rows, 2))
  judge_claim(claim, rehearsal, scale="")


def _printed(claim: Mapping[str, Any], scale: str) -> dict[str, Any]:
  return {
    "statement": claim["statement"],
    "source": claim["source"],
    "paper_value": claim.get("paper_value"),
    "scale": scale,
  }


def _blank(name: str, settings: Mapping[str, Any], models: list[str], seeds: int) -> StudyResult:
  """A result of the right shape before the study has been run."""
  models = list(settings.get("models", models))
  families = settings.get("families", {})
  if families:
    models = compared(settings["reference"], families)
  attacks = [{"name": attack} for attack in settings.get("attacks", {})]
  epsilons = list(settings.get("epsilons", ()))
  facts = {"models": models, "attacks": attacks, "epsilons": epsilons, "targets": ["y", "y + 1"]}
  facts |= {"families": families, "reference": settings.get("reference")}
  a, e, m = len(attacks), len(epsilons), len(models)
  shapes: dict[str, tuple[int, ...]] = {
    "robustness": (a, m, seeds, e, 2),
    "transfer": (seeds, e, m, m, 2),
    "evaluation": (a, m, seeds, 2),
    "gradients": (2, m, seeds, 2),
    "targeted": (m, m, 1, 2),
  }
  blank = np.zeros(shapes.get(settings["kind"], (m, seeds, 2)))
  names = ("correct", "robust", "lengths", "clean", "attacked")
  arrays: dict[str, np.ndarray] = dict.fromkeys(names, blank)
  arrays["log_probabilities"] = np.zeros((m, seeds, 2, 2))
  arrays |= dict.fromkeys((*NUMBERS, "predictions"), blank)
  arrays |= {"labels": np.zeros(1, int), "targets": np.arange(2)}
  arrays |= {"images": np.zeros((1, 1, 1, 1)), "adversarial": np.zeros((m, 1, 2, 1, 1, 1))}
  return StudyResult(name, settings["kind"], arrays, facts)
