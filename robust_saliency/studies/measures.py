"""What claims are about: numbers of the studies' results, by name.

A measure is any `(results, **settings) -> [S, N]`, a value per seed and test example, whose mean is
the number and whose spread over seeds (over test examples where there is one seed) its interval; or
one that gives the `Estimate` itself.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from robust_saliency.core import checks
from robust_saliency.studies.estimates import (
  CONFIDENCE,
  Estimate,
  mean_estimate,
  mean_interval,
  median_interval,
)
from robust_saliency.studies.image_measures import (
  map_quality_gap,
  stroke_size_gap,
  target_rate,
  target_rate_gap,
)
from robust_saliency.studies.look_up import attack_index, epsilon_index, find, index
from robust_saliency.studies.result import StudyResult
from robust_saliency.studies.training_curves import SMALLEST, probe_change, probe_log_ratio


def _accuracy(results: Mapping[str, StudyResult], *, study: str, model: str) -> np.ndarray:
  """Clean accuracy of one model: correct [S, N]."""
  result = find(results, study, "accuracy")
  return result.arrays["correct"][index(result, "models", model)].astype(np.float64)


def _accuracy_kept(
  results: Mapping[str, StudyResult], *, study: str, model: str, baseline: str
) -> np.ndarray:
  """Share of a baseline's clean accuracy that a model keeps: [S, N]."""
  ours, theirs = (_accuracy(results, study=study, model=name) for name in (model, baseline))
  return _ratio(ours, theirs.mean(axis=1, keepdims=True))


def _robust_accuracy(
  results: Mapping[str, StudyResult], *, study: str, model: str, attack: str, epsilon: float
) -> np.ndarray:
  """Accuracy of one model under one attack: correct [S, N]."""
  result = find(results, study, "robustness")
  correct = result.arrays["correct"][attack_index(result, attack), index(result, "models", model)]
  return correct[:, epsilon_index(result, epsilon)].astype(np.float64)


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
  result = find(results, study, "transfer")
  correct = result.arrays["correct"][:, epsilon_index(result, epsilon)]
  made_for, tested_on = (index(result, "models", name) for name in (source, target))
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


def _transfer_accuracy_change(
  results: Mapping[str, StudyResult],
  *,
  study: str,
  source: str,
  target: str,
  epsilon: float,
  smaller_epsilon: float,
) -> np.ndarray:
  """How much more accurate the target is at the larger of two radii: [S, N]."""
  larger, smaller = (
    _transfer_accuracy(results, study=study, source=source, target=target, epsilon=radius)
    for radius in (epsilon, smaller_epsilon)
  )
  return larger - smaller


def _highest_transfer_accuracy(
  results: Mapping[str, StudyResult], *, study: str, source: str, epsilon: float
) -> np.ndarray:
  """Accuracy of whichever network stands the source's examples best: [S, N]."""
  targets = find(results, study, "transfer").facts["models"]
  of_each = [
    _transfer_accuracy(results, study=study, source=source, target=target, epsilon=epsilon)
    for target in targets
  ]
  return max(of_each, key=np.mean)


def _largest_transfer_drop(
  results: Mapping[str, StudyResult], *, study: str, source: str
) -> np.ndarray:
  """How much the source's examples take from any network, at any radius: [S, N].

  Of whichever network and radius lose most, against the same network at the smallest radius.
  """
  result = find(results, study, "transfer")
  of_source = result.arrays["correct"][:, :, index(result, "models", source)].astype(np.float64)
  smallest = int(np.argmin(result.facts["epsilons"]))
  drops = of_source[:, smallest, None] - of_source
  radius, target = np.unravel_index(drops.mean(axis=(0, 3)).argmax(), drops.shape[1:3])
  return drops[:, radius, target]


def _jointly_fooled(
  results: Mapping[str, StudyResult],
  *,
  study: str,
  source: str,
  targets: Sequence[str],
  epsilon: float,
) -> np.ndarray:
  """Of the source's examples that fool any of the targets, the share that fools all of them.

  [S, 1] for several seeds; for a single one [1, examples that fool any].
  """
  fooled = 1 - np.array(
    [
      _transfer_accuracy(results, study=study, source=source, target=target, epsilon=epsilon)
      for target in targets
    ]
  )
  of_any = fooled.max(axis=0) > 0
  of_all = fooled.min(axis=0)
  if len(of_any) == 1 and of_any.any():
    return of_all[of_any][None]
  return _ratio(of_all.sum(axis=1, keepdims=True), of_any.sum(axis=1, keepdims=True))


def _evaluated_accuracy(
  results: Mapping[str, StudyResult], *, study: str, model: str, attack: str
) -> np.ndarray:
  """Accuracy under an attack or ensemble of an evaluation: [S, N]."""
  result = find(results, study, "evaluation")
  robust = result.arrays["robust"][attack_index(result, attack), index(result, "models", model)]
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
  floor: float = SMALLEST,
) -> Estimate:
  """log10 of the ratio of two networks' median gradient lengths.

  A length below `floor`, by default float32's smallest number, counts as that. For a single seed
  the interval is over test examples and holds both medians with 97.5 % each, so it is rather too
  wide.
  """
  ours, theirs = (
    np.log10(np.maximum(_gradient_lengths(results, study, name, target), floor))
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
    value, low - their_high, high - their_low, f"{ours.shape[1]:,} test examples, one seed"
  )


def _gradient_length_gap(
  results: Mapping[str, StudyResult], *, study: str, model: str, baseline: str, target: str = "y"
) -> np.ndarray:
  """How much longer one network's loss gradients are than another's: [S, N]."""
  ours, theirs = (_gradient_lengths(results, study, name, target) for name in (model, baseline))
  return ours - theirs


def _other_log_probability(
  results: Mapping[str, StudyResult], *, study: str, model: str
) -> np.ndarray:
  """Mean log-probability of the classes that a network does not predict: [S, N]."""
  result = find(results, study, "gradients")
  values = result.arrays["log_probabilities"][index(result, "models", model)].astype(np.float64)
  return (values.sum(axis=-1) - values.max(axis=-1)) / max(values.shape[-1] - 1, 1)


def _other_log_probability_gap(
  results: Mapping[str, StudyResult], *, study: str, model: str, baseline: str
) -> np.ndarray:
  """How much nearer to 0 a network's log-probabilities of other classes are: [S, N]."""
  ours, theirs = (
    _other_log_probability(results, study=study, model=name) for name in (model, baseline)
  )
  return ours - theirs


def _best_of_family(
  results: Mapping[str, StudyResult], *, study: str, family: str, baseline: str | None = None
) -> Estimate:
  """How much better a family's most robust candidate stands the selection's attack.

  Better than the most robust one of the family `baseline`, or than the reference.
  """
  result = find(results, study, "selection")
  families = result.facts["families"]

  def best(name: str) -> np.ndarray:
    checks.one_of(name, families, argument="family")
    of_each = [_attacked(result, candidate) for candidate in families[name]]
    return max(of_each, key=np.mean)

  against = _attacked(result, result.facts["reference"]) if baseline is None else best(baseline)
  return mean_estimate(best(family) - against, "validation images")


def _attacked(result: StudyResult, model: str) -> np.ndarray:
  return result.arrays["attacked"][index(result, "models", model)].astype(np.float64)


def _gradient_lengths(
  results: Mapping[str, StudyResult], study: str, model: str, target: str
) -> np.ndarray:
  result = find(results, study, "gradients")
  of_target = result.arrays["lengths"][index(result, "targets", target)]
  return of_target[index(result, "models", model)].astype(np.float64)


MEASURES: dict[str, Callable[..., np.ndarray | Estimate]] = {
  "accuracy": _accuracy,
  "accuracy_kept": _accuracy_kept,
  "robust_accuracy": _robust_accuracy,
  "robust_accuracy_gap": _robust_accuracy_gap,
  "transfer_accuracy": _transfer_accuracy,
  "transfer_accuracy_gap": _transfer_accuracy_gap,
  "transfer_accuracy_change": _transfer_accuracy_change,
  "highest_transfer_accuracy": _highest_transfer_accuracy,
  "largest_transfer_drop": _largest_transfer_drop,
  "jointly_fooled": _jointly_fooled,
  "evaluated_accuracy": _evaluated_accuracy,
  "gradient_is_zero": _gradient_is_zero,
  "gradient_log_ratio": _gradient_log_ratio,
  "gradient_length_gap": _gradient_length_gap,
  "target_rate": target_rate,
  "target_rate_gap": target_rate_gap,
  "stroke_size_gap": stroke_size_gap,
  "map_quality_gap": map_quality_gap,
  "probe_change": probe_change,
  "probe_log_ratio": probe_log_ratio,
  "other_log_probability": _other_log_probability,
  "other_log_probability_gap": _other_log_probability_gap,
  "best_of_family": _best_of_family,
}


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
  """Part / whole, 0 where there is nothing."""
  return np.where(whole > 0, part / np.where(whole > 0, whole, 1), 0.0)
