"""What claims are about: numbers of the studies' results, by name.

A measure is any `(results, **settings) -> [S, N]`, a value per seed and test example, whose mean is
the number and whose spread over seeds (over test examples where there is one seed) its interval; or
one that gives the `Estimate` itself.
"""

from collections.abc import Callable, Mapping

import numpy as np

from robust_saliency.core import checks
from robust_saliency.studies.estimates import CONFIDENCE, Estimate, mean_interval, median_interval
from robust_saliency.studies.result import StudyResult

SMALLEST = float(np.finfo(np.float32).smallest_subnormal)


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
  correct = result.arrays["correct"][attacks.index(attack), _index(result, "models", model)]
  return correct[:, _epsilon_index(result, epsilon)].astype(np.float64)


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


def _transfer_accuracy(
  results: Mapping[str, StudyResult], *, study: str, source: str, target: str, epsilon: float
) -> np.ndarray:
  """Accuracy of the target on examples made for the source: correct [S, N]."""
  result = _find(results, study, "transfer")
  correct = result.arrays["correct"][:, _epsilon_index(result, epsilon)]
  made_for, tested_on = (_index(result, "models", name) for name in (source, target))
  return correct[:, made_for, tested_on].astype(np.float64)


def _transfer_accuracy_gap(
  results: Mapping[str, StudyResult],
  *,
  study: str,
  source: str,
  target: str,
  baseline: str,
  epsilon: float,
) -> np.ndarray:
  """How much more accurate the target is than a baseline on the source's examples: [S, N]."""
  ours, theirs = (
    _transfer_accuracy(results, study=study, source=source, target=name, epsilon=epsilon)
    for name in (target, baseline)
  )
  return ours - theirs


def _highest_transfer_accuracy(
  results: Mapping[str, StudyResult], *, study: str, source: str, epsilon: float
) -> np.ndarray:
  """Accuracy of whichever network stands the source's examples best: [S, N]."""
  result = _find(results, study, "transfer")
  accuracies = [
    _transfer_accuracy(results, study=study, source=source, target=target, epsilon=epsilon)
    for target in result.facts["models"]
  ]
  return max(accuracies, key=np.mean)


def _evaluated_accuracy(
  results: Mapping[str, StudyResult], *, study: str, model: str, attack: str
) -> np.ndarray:
  """Accuracy under an attack or ensemble of an evaluation: [S, N]."""
  result = _find(results, study, "evaluation")
  attacks = [one["name"] for one in result.facts["attacks"]]
  checks.one_of(attack, attacks, argument="attack")
  robust = result.arrays["robust"][attacks.index(attack), _index(result, "models", model)]
  return robust.astype(np.float64)


def _gradient_is_zero(
  results: Mapping[str, StudyResult], *, study: str, model: str, target: str = "y"
) -> np.ndarray:
  """Whether an example's loss gradient is exactly zero in float32: [S, N]."""
  return (_gradient_lengths(results, study, model, target) == 0).astype(np.float64)


def _gradient_log_ratio(
  results: Mapping[str, StudyResult],
  *,
  study: str,
  model: str,
  baseline: str,
  target: str = "y",
) -> Estimate:
  """log10 of the ratio of two networks' median gradient lengths.

  A length of 0 counts as float32's smallest number. For a single seed the interval is over test
  examples and holds both medians with 97.5 % each, so it is rather too wide.
  """
  ours, theirs = (
    np.log10(np.maximum(_gradient_lengths(results, study, name, target), SMALLEST))
    for name in (model, baseline)
  )
  if len(ours) > 1:
    of_seeds = np.median(ours, axis=1) - np.median(theirs, axis=1)
    return Estimate(*mean_interval(of_seeds), f"{len(ours)} seeds")
  (low, high), (their_low, their_high) = (
    median_interval(one[0], 1 - (1 - CONFIDENCE) / 2) for one in (ours, theirs)
  )
  value = float(np.median(ours) - np.median(theirs))
  return Estimate(
    value, low - their_high, high - their_low, f"{ours.shape[1]} test examples, one seed"
  )


def _gradient_lengths(
  results: Mapping[str, StudyResult], study: str, model: str, target: str
) -> np.ndarray:
  result = _find(results, study, "gradients")
  of_target = result.arrays["lengths"][_index(result, "targets", target)]
  return of_target[_index(result, "models", model)].astype(np.float64)


MEASURES: dict[str, Callable[..., np.ndarray | Estimate]] = {
  "accuracy": _accuracy,
  "robust_accuracy": _robust_accuracy,
  "robust_accuracy_gap": _robust_accuracy_gap,
  "transfer_accuracy": _transfer_accuracy,
  "transfer_accuracy_gap": _transfer_accuracy_gap,
  "highest_transfer_accuracy": _highest_transfer_accuracy,
  "evaluated_accuracy": _evaluated_accuracy,
  "gradient_is_zero": _gradient_is_zero,
  "gradient_log_ratio": _gradient_log_ratio,
}


def _find(results: Mapping[str, StudyResult], study: str, kind: str) -> StudyResult:
  checks.one_of(study, results, argument="study")
  if results[study].kind != kind:
    raise ValueError(f"study must be of kind {kind}, got {study!r} of kind {results[study].kind}")
  return results[study]


def _epsilon_index(result: StudyResult, epsilon: float) -> int:
  near = np.flatnonzero(np.isclose(result.facts["epsilons"], epsilon))
  if not len(near):
    raise ValueError(f"epsilon must be one of {result.facts['epsilons']}, got {epsilon}")
  return int(near[0])


def _index(result: StudyResult, axis: str, name: str) -> int:
  checks.one_of(name, result.facts[axis], argument=axis)
  return result.facts[axis].index(name)
