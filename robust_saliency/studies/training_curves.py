"""The curves of training as a result like a study's, and what claims can ask of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from robust_saliency.core import checks
from robust_saliency.studies.estimates import CONFIDENCE, Estimate, mean_interval
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

  Negative where the curve ends below its peak, never positive. Per seed; for one seed the interval
  of an accuracy is over the probe's images, as if each end had images of its own, which is rather
  too wide, and other metrics have none.
  """
  checks.fraction(since=since)
  ends = [
    (values[-1], values[steps >= since * steps[-1]].max())
    for steps, values in _curves(results, model, metric)
  ]
  changes = [last - highest for last, highest in ends]
  if len(ends) > 1 or metric not in (ACCURACY, FGSM_ACCURACY):
    return _over_seeds(changes)
  examples = results[TRAINING].facts["examples"][model]
  error = np.sqrt(sum(share * (1 - share) for share in ends[0]) / examples)
  half = special.ndtri((1 + CONFIDENCE) / 2) * error
  over = f"{examples:,} validation images, one seed"
  return Estimate(changes[0], changes[0] - half, changes[0] + half, over)


def probe_log_ratio(
  results: Mapping[str, StudyResult], *, model: str, baseline: str, metric: str
) -> Estimate:
  """log10 of the ratio of a probe's last values of two networks.

  A value of 0 counts as float32's smallest number. Per seed, so that one seed alone has no
  interval.
  """
  ours, theirs = (
    [np.log10(max(values[-1], SMALLEST)) for _, values in _curves(results, name, metric)]
    for name in (model, baseline)
  )
  return _over_seeds([a - b for a, b in zip(ours, theirs, strict=True)])


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


def _over_seeds(values: Sequence[float]) -> Estimate:
  over = f"{len(values)} seeds" if len(values) > 1 else "one seed"
  return Estimate(*mean_interval(np.array(values)), over)
