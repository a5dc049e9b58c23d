"""Claims: a paper's sentence, a number that our run measured, and a verdict.

A claim is one of `measures.MEASURES`; a threshold that stood in the config before the run; and a
rule: *supported* where the 95 % interval lies on the claim's side of the threshold, *refuted* where
it lies on the other, *undecided* where it straddles.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency.core import checks
from robust_saliency.core.binding import bind
from robust_saliency.studies.estimates import Estimate, mean_estimate
from robust_saliency.studies.measures import MEASURES
from robust_saliency.studies.result import StudyResult

RELATIONS = (">=", "<=")
CLAIM_FIELDS = ("statement", "source", "paper_value", "measure", "relation", "threshold")


@dataclasses.dataclass(frozen=True)
class ClaimResult:
  """A claim, judged.

  Attributes:
    statement: what is claimed, a sentence.
    source: where (paper, section, figure).
    paper_value: the paper's own number, as printed; None where it gives none.
    value: ours.
    low: lower end of its 95 % interval.
    high: upper end.
    interval: what the interval is over ("95 % over 3 seeds").
    relation: ">=" or "<=".
    threshold: what `value` is held against.
    verdict: "supported", "refuted" or "undecided".
    scale: at which scale it was measured ("full", "small", ...).
  """

  statement: str
  source: str
  paper_value: str | None
  value: float
  low: float
  high: float
  interval: str
  relation: str
  threshold: float
  verdict: str
  scale: str


def judge(low: float, high: float, relation: str, threshold: float) -> str:
  """The verdict on an interval.

  >>> judge(0.3, 0.4, ">=", 0.25), judge(0.2, 0.4, ">=", 0.25), judge(0.1, 0.2, ">=", 0.25)
  ('supported', 'undecided', 'refuted')
  """
  checks.one_of(relation, RELATIONS, argument="relation")
  if relation == "<=":
    low, high, threshold = -high, -low, -threshold
  if low >= threshold:
    return "supported"
  return "refuted" if high < threshold else "undecided"


def judge_claim(
  claim: Mapping[str, Any], results: Mapping[str, StudyResult], *, scale: str
) -> ClaimResult:
  """Measures one claim of a config and judges it.

  Args:
    claim: "statement", "source", optional "paper_value", "relation", "threshold", and "measure":
      {"name": one of `MEASURES`, and its settings}.
    results: the studies' results by name.
    scale: the experiment's scale, repeated in the result.

  Returns:
    The claim with our number, its interval and the verdict. The interval is over seeds where
    there are several, and over test examples where there is one.

  Raises:
    ValueError: for an unknown measure, study, model, attack or epsilon.
  """
  measured = bind(MEASURES, claim["measure"], what="measure")(results)
  value, low, high, over = measured if isinstance(measured, Estimate) else mean_estimate(measured)
  return ClaimResult(
    statement=claim["statement"],
    source=claim["source"],
    paper_value=claim.get("paper_value"),
    value=value,
    low=low,
    high=high,
    interval=f"95 % over {over}",
    relation=claim["relation"],
    threshold=claim["threshold"],
    verdict=judge(low, high, claim["relation"], claim["threshold"]),
    scale=scale,
  )


def check_claim(
  claim: Mapping[str, Any],
  study_settings: Mapping[str, Mapping[str, Any]],
  models: Sequence[str],
  seeds: Sequence[int],
) -> None:
  """Refuses a claim that could not be judged once the studies have been run.

  Args:
    claim: as in `judge_claim`.
    study_settings: the config's studies by name.
    models: the names of the models.
    seeds: the seeds.

  Raises:
    ValueError: for a missing field, or an unknown measure, study, model, attack or epsilon.
  """
  for field in ("statement", "source", "measure", "relation", "threshold"):
    if field not in claim:
      raise ValueError(f"a claim needs the field {field!r}, got {', '.join(claim)}")
  for field in claim:
    checks.one_of(field, CLAIM_FIELDS, argument="field of a claim")
  rehearsal = {
    name: _blank(name, settings, list(models), len(seeds))
    for name, settings in study_settings.items()
  }
  judge_claim(claim, rehearsal, scale="")


def _blank(name: str, settings: Mapping[str, Any], models: list[str], seeds: int) -> StudyResult:
  """A result of the right shape before the study has been run."""
  attacks = [{"name": attack} for attack in settings.get("attacks", {})]
  epsilons = list(settings.get("epsilons", ()))
  facts = {"models": models, "attacks": attacks, "epsilons": epsilons, "targets": ["y", "y + 1"]}
  a, e, m = len(attacks), len(epsilons), len(models)
  shapes: dict[str, tuple[int, ...]] = {
    "robustness": (a, m, seeds, e, 1),
    "transfer": (seeds, e, m, m, 1),
    "evaluation": (a, m, seeds, 1),
    "gradients": (2, m, seeds, 1),
  }
  blank = np.zeros(shapes.get(settings["kind"], (m, seeds, 1)))
  arrays = dict.fromkeys(("correct", "robust", "lengths"), blank)
  return StudyResult(name, settings["kind"], arrays, facts)
