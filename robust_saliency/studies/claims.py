"""Claims: a paper's sentence, a number that our run measured, and a verdict.

A claim is a small pure function of the studies' results that gives one value per seed (or, for a
single seed, one value per test example); a threshold that stood in the config before the run; and
a rule: *supported* where the 95 % interval lies on the claim's side of the threshold, *refuted*
where it lies on the other, *undecided* where it straddles.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from robust_saliency.core import checks
from robust_saliency.core.binding import bind
from robust_saliency.studies.result import StudyResult

RELATIONS = (">=", "<=")
CLAIM_FIELDS = ("statement", "source", "paper_value", "measure", "relation", "threshold")
CONFIDENCE = 0.95


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


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
  """Mean and Student's 95 % interval of independent values; infinite for a single one.

  >>> mean_interval(np.array([1.0, 2.0, 3.0]))
  (2.0, -0.48, 4.48)
  """
  values = np.asarray(values, np.float64)
  mean = float(values.mean())
  if len(values) < 2:
    return mean, -np.inf, np.inf
  half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values)
  return mean, mean - float(half), mean + float(half)


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


def _accuracy(results: Mapping[str, StudyResult], *, study: str, model: str) -> np.ndarray:
  """Clean accuracy of one model: correct [S, N]."""
  result = _find(results, study, "accuracy")
  return result.arrays["correct"][_index(result, "models", model)].astype(np.float64)


def _robust_accuracy(
  results: Mapping[str, StudyResult], *, study: str, model: str, attack: str, epsilon: float
) -> np.ndarray:
  """Accuracy of one model under one attack: correct [S, N]."""
  result = _find(results, study, "robustness")
  attacks = [one["name"] for one in result.facts["attacks"]]
  checks.one_of(attack, attacks, argument="attack")
  near = np.flatnonzero(np.isclose(result.facts["epsilons"], epsilon))
  if not len(near):
    raise ValueError(f"epsilon must be one of {result.facts['epsilons']}, got {epsilon}")
  correct = result.arrays["correct"][attacks.index(attack), _index(result, "models", model)]
  return correct[:, near[0]].astype(np.float64)


def _robust_accuracy_gap(
  results: Mapping[str, StudyResult],
  *,
  study: str,
  model: str,
  baseline: str,
  attack: str,
  epsilon: float,
) -> np.ndarray:
  """How much more accurate one model is than another under an attack: [S, N]."""
  ours, theirs = (
    _robust_accuracy(results, study=study, model=name, attack=attack, epsilon=epsilon)
    for name in (model, baseline)
  )
  return ours - theirs


MEASURES: dict[str, Callable[..., np.ndarray]] = {
  "accuracy": _accuracy,
  "robust_accuracy": _robust_accuracy,
  "robust_accuracy_gap": _robust_accuracy_gap,
}


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
  values = bind(MEASURES, claim["measure"], what="measure")(results)
  seeds = len(values)
  per_unit = values.mean(axis=1) if seeds > 1 else values[0]
  value, low, high = mean_interval(per_unit)
  over = f"{seeds} seeds" if seeds > 1 else f"{values.shape[1]} test examples, one seed"
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
  rehearsal = {}
  for name, settings in study_settings.items():
    attacks = [{"name": attack} for attack in settings.get("attacks", {})]
    epsilons = list(settings.get("epsilons", ()))
    facts = {"models": list(models), "attacks": attacks, "epsilons": epsilons}
    shape: tuple[int, ...] = (len(models), len(seeds), 1)
    if settings["kind"] == "robustness":
      shape = (len(attacks), len(models), len(seeds), len(epsilons), 1)
    rehearsal[name] = StudyResult(name, settings["kind"], {"correct": np.zeros(shape)}, facts)
  judge_claim(claim, rehearsal, scale="")


def _find(results: Mapping[str, StudyResult], study: str, kind: str) -> StudyResult:
  checks.one_of(study, results, argument="study")
  if results[study].kind != kind:
    raise ValueError(f"study must be of kind {kind}, got {study!r} of kind {results[study].kind}")
  return results[study]


def _index(result: StudyResult, axis: str, name: str) -> int:
  checks.one_of(name, result.facts[axis], argument=axis)
  return result.facts[axis].index(name)
