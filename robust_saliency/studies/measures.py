"""What claims are about: numbers of the studies' results, by name.

A measure is any `(results, **settings) -> Estimate`: the number, and its interval as `results`
gives it for numbers of its kind, over images for one or two networks and over both from three on.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from robust_saliency import results as statistics
from robust_saliency.core import checks
from robust_saliency.results import Estimate
from robust_saliency.studies.image_measures import (
  map_quality_gap,
  stroke_size_gap,
  target_rate,
  target_rate_gap,
)
from robust_saliency.studies.look_up import attack_index, epsilon_index, find, index
from robust_saliency.studies.result import StudyResult
from robust_saliency.studies.training_curves import SMALLEST, probe_change, probe_log_ratio

VALIDATION_IMAGES = "validation images"


def _accuracy(results: Mapping[str, StudyResult], *, study: str, model: str) -> Estimate:
  """Clean accuracy of one model."""
  return statistics.share(_clean(results, study, model))


def _accuracy_kept(
  results: Mapping[str, StudyResult], *, study: str, model: str, baseline: str
) -> Estimate:
  """Share of a baseline's clean accuracy that a model keeps, paired by network and image."""
  return statistics.share_ratio(*(_clean(results, study, name) for name in (model, baseline)))


def _robust_accuracy(
  results: Mapping[str, StudyResult], *, study: str, model: str, attack: str, epsilon: float
) -> Estimate:
  """Accuracy of one model under one attack."""
  return statistics.share(_attacked(results, study, model, attack, epsilon))


def _robust_accuracy_gap(
  results: Mapping[str, StudyResult],
  *,
  study: str,
  model: str,
  baseline: str,
  attack: str,
  epsilon: float,
) -> Estimate:
  """How much more accurate one model is than another under an attack."""
  return statistics.share_difference(
    *(_attacked(results, study, name, attack, epsilon) for name in (model, baseline))
  )


def _transfer_accuracy(
  results: Mapping[str, StudyResult], *, study: str, source: str, target: str, epsilon: float
) -> Estimate:
  """Accuracy of the target on examples made for the source."""
  return statistics.share(_transferred(results, study, source, target, epsilon))


def _transfer_accuracy_gap(
  results: Mapping[str, StudyResult],
  *,
  study: str,
  source: str,
  target: str,
  baseline: str,
  epsilon: float,
) -> Estimate:
  """How much more accurate the target is than a baseline on the source's examples."""
  return statistics.share_difference(
    *(_transferred(results, study, source, name, epsilon) for name in (target, baseline))
  )


def _transfer_accuracy_change(
  results: Mapping[str, StudyResult],
  *,
  study: str,
  source: str,
  target: str,
  epsilon: float,
  smaller_epsilon: float,
) -> Estimate:
  """How much more accurate the target is at the larger of two radii."""
  return statistics.share_difference(
    *(_transferred(results, study, source, target, radius) for radius in (epsilon, smaller_epsilon))
  )


def _highest_transfer_accuracy(
  results: Mapping[str, StudyResult], *, study: str, source: str, epsilon: float
) -> Estimate:
  """Accuracy of whichever network stands the source's examples best.

  Half of the images tell which, the other half how well.
  """
  targets = find(results, study, "transfer").facts["models"]
  of_each = np.array([_transferred(results, study, source, target, epsilon) for target in targets])
  choose, judge = statistics.halves(of_each)
  best = int(choose.mean(axis=(1, 2)).argmax())
  return _on_the_other_half(statistics.share(judge[best]), choose)


def _largest_transfer_drop(
  results: Mapping[str, StudyResult], *, study: str, source: str
) -> Estimate:
  """How much the source's examples take from any network, at any radius.

  Of whichever network and radius lose most on half of the images, on the other half; against the
  same network at the smallest radius.
  """
  result = find(results, study, "transfer")
  of_source = result.arrays["correct"][:, :, index(result, "models", source)].astype(np.float64)
  smallest = int(np.argmin(result.facts["epsilons"]))
  choose, judge = statistics.halves(of_source)
  drops = (choose[:, smallest, None] - choose).mean(axis=(0, 3))
  radius, target = np.unravel_index(drops.argmax(), drops.shape)
  drop = statistics.share_difference(judge[:, smallest, target], judge[:, radius, target])
  return _on_the_other_half(drop, choose)


def _jointly_fooled(
  results: Mapping[str, StudyResult],
  *,
  study: str,
  source: str,
  targets: Sequence[str],
  epsilon: float,
) -> Estimate:
  """Of the source's examples that fool any of the targets, the share that fools all of them."""
  fooled = 1 - np.array(
    [_transferred(results, study, source, target, epsilon) for target in targets]
  )
  return statistics.share_within(
    fooled.min(axis=0), fooled.max(axis=0), units="images that fool any"
  )


def _evaluated_accuracy(
  results: Mapping[str, StudyResult], *, study: str, model: str, attack: str
) -> Estimate:
  """Accuracy under an attack or ensemble of an evaluation."""
  result = find(results, study, "evaluation")
  robust = result.arrays["robust"][attack_index(result, attack), index(result, "models", model)]
  return statistics.share(robust)


def _gradient_is_zero(
  results: Mapping[str, StudyResult], *, study: str, model: str, target: str = "y"
) -> Estimate:
  """Share of examples whose loss gradient is exactly zero in float32."""
  return statistics.share(_gradient_lengths(results, study, model, target) == 0)


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

  A length below `floor`, by default float32's smallest number, counts as that.
  """
  return statistics.median_difference(
    *(
      np.log10(np.maximum(_gradient_lengths(results, study, name, target), floor))
      for name in (model, baseline)
    )
  )


def _gradient_length_gap(
  results: Mapping[str, StudyResult], *, study: str, model: str, baseline: str, target: str = "y"
) -> Estimate:
  """How much longer one network's loss gradients are than another's, on average."""
  ours, theirs = (_gradient_lengths(results, study, name, target) for name in (model, baseline))
  return statistics.mean(ours - theirs)


def _other_log_probability(
  results: Mapping[str, StudyResult], *, study: str, model: str
) -> Estimate:
  """Mean log-probability of the classes that a network does not predict."""
  return statistics.mean(_log_probabilities_of_others(results, study, model))


def _other_log_probability_gap(
  results: Mapping[str, StudyResult], *, study: str, model: str, baseline: str
) -> Estimate:
  """How much nearer to 0 a network's log-probabilities of other classes are."""
  ours, theirs = (_log_probabilities_of_others(results, study, name) for name in (model, baseline))
  return statistics.mean(ours - theirs)


def _best_of_family(
  results: Mapping[str, StudyResult], *, study: str, family: str, baseline: str | None = None
) -> Estimate:
  """How much better a family's most robust candidate stands the selection's attack.

  Better than the most robust one of the family `baseline`, or than the reference. Where a family
  has several candidates, half of the images tell which is the most robust and the other half how
  robust it is.
  """
  result = find(results, study, "selection")
  families = result.facts["families"]
  for name in (family, *([] if baseline is None else [baseline])):
    checks.one_of(name, families, argument="family")
  candidates = [
    [result.facts["reference"]] if name is None else list(families[name])
    for name in (family, baseline)
  ]
  correct = [
    np.array([result.arrays["attacked"][index(result, "models", name)] for name in names])
    for names in candidates
  ]
  if all(len(names) == 1 for names in candidates):
    return statistics.share_difference(correct[0][0], correct[1][0], units=VALIDATION_IMAGES)
  best = []
  for of_each in correct:
    choose, judge = statistics.halves(of_each)
    best.append(judge[choose.mean(axis=(1, 2)).argmax()])
  gap = statistics.share_difference(*best, units=VALIDATION_IMAGES)
  return _on_the_other_half(gap, choose)


def _on_the_other_half(estimate: Estimate, chose: np.ndarray) -> Estimate:
  return estimate._replace(over=f"{estimate.over}, chosen on {chose.shape[-1]:,} others")


def _clean(results: Mapping[str, StudyResult], study: str, model: str) -> np.ndarray:
  """Which images one model classifies correctly, [S, N], as of all below."""
  result = find(results, study, "accuracy")
  correct: np.ndarray = result.arrays["correct"]
  return correct[index(result, "models", model)]


def _attacked(
  results: Mapping[str, StudyResult], study: str, model: str, attack: str, epsilon: float
) -> np.ndarray:
  result = find(results, study, "robustness")
  correct = result.arrays["correct"][attack_index(result, attack), index(result, "models", model)]
  return correct[:, epsilon_index(result, epsilon)]


def _transferred(
  results: Mapping[str, StudyResult], study: str, source: str, target: str, epsilon: float
) -> np.ndarray:
  result = find(results, study, "transfer")
  correct = result.arrays["correct"][:, epsilon_index(result, epsilon)]
  made_for, tested_on = (index(result, "models", name) for name in (source, target))
  return correct[:, made_for, tested_on]


def _log_probabilities_of_others(
  results: Mapping[str, StudyResult], study: str, model: str
) -> np.ndarray:
  result = find(results, study, "gradients")
  values = result.arrays["log_probabilities"][index(result, "models", model)].astype(np.float64)
  return (values.sum(axis=-1) - values.max(axis=-1)) / max(values.shape[-1] - 1, 1)


def _gradient_lengths(
  results: Mapping[str, StudyResult], study: str, model: str, target: str
) -> np.ndarray:
  result = find(results, study, "gradients")
  of_target = result.arrays["lengths"][index(result, "targets", target)]
  return of_target[index(result, "models", model)].astype(np.float64)


MEASURES: dict[str, Callable[..., Estimate]] = {
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
