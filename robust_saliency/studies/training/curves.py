"""The curves of training as a result like a study's, of which claims can ask."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency.results.result import Layout, Result

# The result's name and kind.
TRAINING = "training"

POSITIONS = ("seed", "step")

# What is known of each curve: its last value, and that minus its highest one.
LAST, CHANGE = "last", "change_since_peak"


def training_curves(
  training: Mapping[str, Sequence[Mapping[str, Any]]], seeds: Sequence[int]
) -> Result:
  """Arranges the metrics of all networks by model, seed and step.

  `change_since_peak` is never positive: the highest of many noisy values lies above the curve's own
  peak, so that even a constant curve seems to fall.

  Args:
    training: model -> rows with `seed`, `step` and metrics, as they were logged.
    seeds: the seeds, in the order of the arrays.

  Returns:
    A result named "training" with an array [model, seed, step] per metric, and the arrays "last"
    and "change_since_peak" [metric, model, seed]; NaN where a network has no such value, or one
    that is not finite.

  >>> rows = [{"seed": 0, "step": step, "loss": 1 / step} for step in (1, 2)]
  >>> curves = training_curves({"a": rows, "b": rows[1:]}, [0])
  >>> curves.arrays["loss"].tolist()
  [[[1.0, 0.5]], [[nan, 0.5]]]
  >>> curves.at("change_since_peak", metric="loss", model="a").tolist()
  [-0.5]
  """
  of_all = [row for rows in training.values() for row in rows]
  steps = sorted({row["step"] for row in of_all})
  metrics = tuple(dict.fromkeys(name for row in of_all for name in row if name not in POSITIONS))
  seed_places = {seed: s for s, seed in enumerate(seeds)}
  step_places = {step: t for t, step in enumerate(steps)}
  curves = np.full((len(metrics), len(training), len(seeds), len(steps)), np.nan)
  for m, rows in enumerate(training.values()):
    for row in rows:
      place = m, seed_places[row["seed"]], step_places[row["step"]]
      for i, name in enumerate(metrics):
        value = row.get(name)
        if value is not None and np.isfinite(value):
          curves[i, *place] = value
  last, change = _ends(curves)
  layout = curves_layout(metrics, tuple(training), tuple(seeds), steps=tuple(steps))
  arrays = dict(zip(metrics, curves, strict=True)) | {LAST: last, CHANGE: change}
  return Result(TRAINING, TRAINING, layout, arrays)


def curves_layout(
  metrics: Sequence[str],
  models: Sequence[str],
  seeds: Sequence[int],
  *,
  steps: Sequence[int] | None = None,
) -> Layout:
  """The axes of the curves' arrays; `steps` None before anything is trained.

  Claims are best checked against the layout of those models that have a probe, and of its metrics.
  """
  axes = dict.fromkeys(metrics, ("model", "seed", "step"))
  return Layout(
    {**axes, **dict.fromkeys((LAST, CHANGE), ("metric", "model", "seed"))},
    {
      "metric": tuple(metrics),
      "model": tuple(models),
      "seed": tuple(seeds),
      **({} if steps is None else {"step": tuple(steps)}),
    },
  )


def is_logged(curves: Result, model: str, metric: str | None = None) -> bool:
  """Whether a metric of a model, or any, was ever logged as a number."""
  metrics = curves.layout.coordinates["metric"] if metric is None else (metric,)
  return any(not np.isnan(curves.at(name, model=model)).all() for name in metrics)


def _ends(curves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Each curve's last value, and that minus its highest one."""
  measured = ~np.isnan(curves)
  if not curves.shape[-1]:
    nothing = np.full(curves.shape[:-1], np.nan)
    return nothing, nothing
  places = curves.shape[-1] - 1 - np.argmax(measured[..., ::-1], axis=-1)
  last = np.take_along_axis(curves, places[..., None], axis=-1)[..., 0]
  peak = np.where(measured, curves, -np.inf).max(axis=-1)
  return last, last - peak
