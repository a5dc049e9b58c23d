"""The section of the training curves."""

import math
from collections.abc import Container, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from robust_saliency.drawing import canvas
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Picture, Section, Sheet
from robust_saliency.objectives import TERMS
from robust_saliency.results.result import Result
from robust_saliency.studies.training.curves import is_logged
from robust_saliency.training import probe

# What says when a row was written, not how training went.
POSITIONS = ("epoch",)
MOST_POINTS = 300  # of one curve; a longer one is averaged over neighbouring rows

PROBED = {
  probe.ACCURACY: "Accuracy on held-out images",
  probe.FGSM_ACCURACY: "Black-box FGSM accuracy",
  probe.WHITE_BOX_ACCURACY: "White-box FGSM accuracy",
  probe.TRUE_LABEL_GRADIENT: "Squared input gradient, true labels",
  probe.UNIFORM_LABEL_GRADIENT: "Squared input gradient, uniform labels",
}
TITLES = {
  "loss": "Loss",
  "accuracy": "Accuracy on the batch",
  "adversarial_accuracy": "Accuracy on adversarial examples",
  **PROBED,
}
EXPLANATIONS = {
  probe.ACCURACY: "In evaluation mode, on the first images of the validation split.",
  probe.FGSM_ACCURACY: "On the same images as FGSM changed them, once, for another network.",
  probe.WHITE_BOX_ACCURACY: (
    "On the same images as FGSM changes them through the network itself, in evaluation mode."
  ),
  probe.TRUE_LABEL_GRADIENT: (
    "Mean over held-out images of the squared ℓ₂ norm of the gradient of the cross-entropy with "
    "the true label."
  ),
  probe.UNIFORM_LABEL_GRADIENT: (
    "Mean over held-out images of the squared ℓ₂ norm of the gradient of the cross-entropy with "
    "all classes alike."
  ),
}
FRACTIONS = (probe.ACCURACY, probe.FGSM_ACCURACY, probe.WHITE_BOX_ACCURACY)
NORMS = (probe.TRUE_LABEL_GRADIENT, probe.UNIFORM_LABEL_GRADIENT)

Curve = tuple[np.ndarray, np.ndarray]  # steps, values


def section(
  curves: Result,
  styles: Mapping[str, Style],
  *,
  models: Sequence[str] | None = None,
  only: Container[str] | None = None,
) -> Section:
  """Draws every metric [model, seed, step] against the step, one line per network.

  Args:
    curves: of `training_curves`.
    styles: how each model is drawn.
    models: those that are drawn; None for all.
    only: the metrics that are drawn; None for all.

  Returns:
    A section with a figure per metric and one sheet of all rows.
  """
  known = curves.layout.coordinates
  models = known["model"] if models is None else models
  names = [
    name
    for name in known["metric"]
    if (only is None or name in only) and any(is_logged(curves, model, name) for model in models)
  ]
  metrics = sorted((n for n in names if n not in POSITIONS), key=lambda name: name != "loss")
  pictures = []
  for metric in metrics:
    of_models = {model: _curves(curves, metric, model) for model in models}
    of_models = {model: seeds for model, seeds in of_models.items() if seeds}
    if of_models:
      pictures.append(_picture(metric, of_models, styles))
  return Section(
    title="Training",
    reading=(
      "What was logged while the networks learned: curves that have levelled out mean that "
      "training ran its course. Networks minimise different objectives, so their losses cannot be "
      "compared with each other."
    ),
    pictures=pictures,
    sheets=[_sheet(curves, models, [*(n for n in names if n in POSITIONS), *metrics])],
  )


def _sheet(curves: Result, models: Sequence[str], columns: Sequence[str]) -> Sheet:
  """One row for each step of each network at which anything was logged."""
  seeds, steps = (curves.layout.coordinates[axis] for axis in ("seed", "step"))
  rows = []
  for model in models:
    values = np.array([curves.at(name, model=model) for name in columns])
    for s, seed in enumerate(seeds):
      for t, step in enumerate(steps):
        row = values[:, s, t] if columns else values
        if not np.isnan(row).all():
          shown = ["" if np.isnan(value) else float(value) for value in row]
          rows.append([model, seed, step, *shown])
  return Sheet("training", ["model", "seed", "step", *columns], rows)


def _curves(curves: Result, metric: str, model: str) -> list[Curve]:
  """One curve per seed, of the steps at which it was measured."""
  steps = np.asarray(curves.layout.coordinates["step"], np.float64)
  found = [
    np.stack([steps[~np.isnan(values)], values[~np.isnan(values)]], axis=1)
    for values in curves.at(metric, model=model)
  ]
  return [_averaged(points) for points in found if len(points)]


def _averaged(points: np.ndarray) -> Curve:
  stride = math.ceil(len(points) / MOST_POINTS)
  starts = range(0, len(points), stride)
  means = np.array([points[start : start + stride].mean(axis=0) for start in starts])
  return means[:, 0], means[:, 1]


def _picture(metric: str, curves: dict[str, list[Curve]], styles: Mapping[str, Style]) -> Picture:
  values = np.concatenate([curve[1] for seeds in curves.values() for curve in seeds])
  values = values[np.isfinite(values)]
  positive = values[values > 0]
  logarithmic = positive.size > 0 and (
    metric in NORMS or (values.min() > 0 and values.max() / values.min() > 100)
  )
  title = _title(metric)
  seeds = max(len(curve) for curve in curves.values())

  def paint(axes: Axes) -> None:
    for model, model_curves in curves.items():
      style = styles[model]
      steps = model_curves[0][0]
      together = all(np.array_equal(steps, other) for other, _ in model_curves)
      if len(model_curves) > 1:
        for curve in model_curves:
          axes.plot(*curve, color=style.colour, linewidth=0.7, alpha=0.4 if together else 0.9)
      if together:
        mean = np.mean([values for _, values in model_curves], axis=0)
        axes.plot(
          steps,
          mean,
          color=style.colour,
          linestyle=style.dash,
          linewidth=1.6,
          marker=style.marker if len(steps) <= 25 else None,
          markevery=max(1, len(steps) // 8),
          markersize=4,
        )
    if logarithmic:
      axes.set_yscale("log")
      if metric in NORMS:
        axes.set_ylim(*_decades(positive))
      axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
      axes.yaxis.set_minor_formatter(NullFormatter())
    if metric in FRACTIONS:
      axes.set_ylim(0, 1.02)
      axes.yaxis.set_major_formatter(canvas.percent_label)
    axes.set_title(canvas.wrap(title, 46))
    axes.set_xlabel("step")

  size, svg, png = canvas.curve_figure({model: styles[model] for model in curves}, paint)
  lines = "Thin lines: seeds; thick line: their mean." if seeds > 1 else "One line per network."
  ends = "; ".join(
    f"{model} {np.mean([curve[1][-1] for curve in model_curves]):.3g}"
    for model, model_curves in curves.items()
  )
  return Picture(
    name=metric,
    caption=" ".join(
      [
        f"{title} against the training step.",
        *([EXPLANATIONS[metric]] if metric in EXPLANATIONS else []),
        lines,
        *(["Logarithmic scale."] if logarithmic else []),
      ]
    ),
    alt=f"Line chart of {title} against the training step. Last values: {ends}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )


def _title(metric: str) -> str:
  if metric in TERMS:
    return TERMS[metric].title
  words = metric.replace("_", " ")
  return TITLES.get(metric, words[:1].upper() + words[1:])


def _decades(positive: np.ndarray) -> tuple[float, float]:
  """The powers of ten around these numbers; what is 0 leaves the axes at the bottom."""
  low, high = np.floor(np.log10(positive.min())), np.ceil(np.log10(positive.max()))
  return 10.0**low, 10.0 ** max(high, low + 1)
