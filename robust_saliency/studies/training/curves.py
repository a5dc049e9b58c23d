"""The curves of training as a result like a study's, and what claims can ask of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency import results as statistics
from robust_saliency.core import checks
from robust_saliency.results import CONFIDENCE, Estimate
from robust_saliency.studies.result import StudyResult
from robust_saliency.training.probe import ACCURACY, FGSM_ACCURACY

# The result's name and kind.
TRAINING = "training"

# What a length of 0 counts as where its logarithm is taken.
SMALLEST = float(np.finfo(np.float32).smallest_subnormal)

_POSITIONS = ("seed", "step")


def training_curves(
  training: Mapping[str, Sequence[Mapping[str, Any]]],
  seeds: Sequence[int],
  *,
  examples: Mapping[str, int] | None = None,
) -> StudyResult:
  """Arranges the metrics of all networks by model, seed and step.

  Args:
    training: model -> rows with `seed`, `step` and metrics, as they were logged.
    seeds: the seeds, in the order of the arrays.
    examples: model -> how many images its probe measures; None where there are no probes.

  Returns:
    A result of kind "training": arrays by metric [M, S, T], NaN where a network has no such value
    at that step, and facts {"models", "seeds", "steps", "metrics": model -> its metrics,
    "examples"}.

  >>> rows = [{"seed": 0, "step": step, "loss": 1 / step} for step in (1, 2)]
  >>> training_curves({"a": rows, "b": rows[1:]}, [0]).arrays["loss"].tolist()
  [[[1.0, 0.5]], [[nan, 0.5]]]
  """
  steps = sorted({row["step"] for rows in training.values() for row in rows})
  seed_places = {seed: s for s, seed in enumerate(seeds)}
  step_places = {step: t for t, step in enumerate(steps)}
  metrics = {
    model: list(dict.fromkeys(name for row in rows for name in row if name not in _POSITIONS))
    for model, rows in training.items()
  }
  shape = (len(training), len(seeds), len(steps))
  arrays = {name: np.full(shape, np.nan) for names in metrics.values() for name in names}
  for m, (model, rows) in enumerate(training.items()):
    for row in rows:
      for name in metrics[model]:
        value = row.get(name)
        if value is not None:
          arrays[name][m, seed_places[row["seed"]], step_places[row["step"]]] = value
  facts = {
    "models": list(training),
    "seeds": list(seeds),
    "steps": steps,
    "metrics": metrics,
    "examples": dict(examples or {}),
  }
  return StudyResult(TRAINING, TRAINING, arrays, facts)


def probe_change(
  results: Mapping[str, StudyResult], *, model: str, metric: str, since: float = 0.0
) -> Estimate:
  """A probe's last value minus its highest one, of those after a fraction `since` of the steps.

  Never positive: the highest of T noisy values lies above the curve's own peak, so that even a
  constant curve seems to fall. As far as an accuracy's noise is that of the probe's images, the
  interval reaches up to where any of the T values may have been the peak (Bonferroni); as if each
  value had images of its own, which is rather too wide. The fluctuations of training itself count
  as falling. Of one or two networks, metrics that are no accuracy have no interval.
  """
  checks.fraction(since=since)
  curves = [
    (values[-1], values[steps >= since * steps[-1]])
    for steps, values in _curves(results, model, metric)
  ]
  changes = np.array([last - since_then.max() for last, since_then in curves])
  if metric not in (ACCURACY, FGSM_ACCURACY) or not np.isfinite(changes).all():
    return statistics.of_networks(changes)
  networks, images = len(changes), results[TRAINING].facts["examples"][model]
  variance = np.mean(
    [_variance(last, images) + _variance(then.max(), images) for last, then in curves]
  )
  looks = max(len(then) for _, then in curves)
  low, high = (
    _half_width(changes, float(variance), images, confidence)
    for confidence in (CONFIDENCE, 1 - (1 - CONFIDENCE) / looks)
  )
  value = float(changes.mean())
  over = statistics.what_over(networks, images, "validation images")
  return Estimate(value, max(value - low, -1.0), min(value + high, 0.0), over, networks)


def probe_log_ratio(
  results: Mapping[str, StudyResult], *, model: str, baseline: str, metric: str
) -> Estimate:
  """log10 of the ratio of a probe's last values of two networks.

  A value of 0 counts as float32's smallest number. One or two networks have no interval, since a
  probe keeps no values of images; from three on it is over networks, on the same images.
  """
  ours, theirs = (
    [np.log10(max(values[-1], SMALLEST)) for _, values in _curves(results, name, metric)]
    for name in (model, baseline)
  )
  return statistics.of_networks(np.subtract(ours, theirs))


def _curves(
  results: Mapping[str, StudyResult], model: str, metric: str
) -> list[tuple[np.ndarray, np.ndarray]]:
  """The steps at which a network has this metric, and its values, one pair per seed."""
  result = results[TRAINING]
  checks.one_of(model, result.facts["models"], argument="model")
  metrics = result.facts["metrics"][model]
  if metric not in metrics:
    raise ValueError(
      f"metric must be one that the probe of {model!r} writes, {', '.join(metrics) or 'none'}; "
      f"got {metric!r}{checks.did_you_mean(metric, metrics)}"
    )
  curves = result.arrays[metric][result.facts["models"].index(model)]
  steps = np.array(result.facts["steps"], np.float64)
  measured = [~np.isnan(values) for values in curves]
  # A number that is not finite is kept as none: without any, the claim is undecided.
  nothing = np.zeros(1), np.array([np.nan])
  return [
    (steps[here], values[here]) if here.any() else nothing
    for values, here in zip(curves, measured, strict=True)
  ]


def _variance(share: float, images: int) -> float:
  """Of a share of images; not 0 where it is 0 or 1 (Agresti & Coull 1998)."""
  right, of = share * images + 2, images + 4
  return right / of * (1 - right / of) / of


def _half_width(changes: np.ndarray, variance: float, images: int, confidence: float) -> float:
  if len(changes) <= statistics.FEW_NETWORKS:
    return statistics.critical_value(confidence) * float(np.sqrt(variance))
  return float(statistics.half_width(changes, np.asarray(variance), images, confidence))
