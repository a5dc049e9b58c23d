"""The section of a gradients study: how long loss gradients are, and how certain the networks."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robust_saliency.report import canvas
from robust_saliency.report.formatting import number, percent
from robust_saliency.report.palette import QUIET, RULE, Style
from robust_saliency.report.section import (
  Picture,
  Row,
  RowGroup,
  Section,
  Sheet,
  Table,
  array,
  fact,
)
from robust_saliency.studies.result import StudyResult

WHISKERS = (5, 95)  # percentiles
BINS = 50
ROW_HEIGHT = 0.36  # inches


def section(result: StudyResult, styles: dict[str, Style]) -> Section:
  """Draws `lengths` [targets, models, seeds, examples] and `log_probabilities`.

  Args:
    result: a study of kind "gradients"; facts `models`, `seeds`, `targets`.
    styles: how each model is drawn.

  Returns:
    A section with a figure of boxes per target and one of the log-probabilities, a table and a
    sheet.
  """
  models, seeds, targets = (fact(result, name) for name in ("models", "seeds", "targets"))
  lengths = array(
    result,
    "lengths",
    targets=len(targets),
    models=len(models),
    seeds=len(seeds),
    examples=None,
  ).astype(np.float64)
  log_probabilities = array(
    result,
    "log_probabilities",
    models=len(models),
    seeds=len(seeds),
    examples=lengths.shape[-1],
    classes=None,
  )
  examples = lengths.shape[-1]
  of_all_seeds = lengths.reshape(len(targets), len(models), -1)
  over = f" of {len(seeds)} seeds" if len(seeds) > 1 else ""
  chosen = {model: styles[model] for model in models}
  return Section(
    title="Gradients and certainty",
    reading=(
      f"How long the gradient of the loss is at {examples:,} images{over}: the loss of the true "
      "class y, which FGSM follows, and of the next class y + 1. A gradient that is exactly zero "
      "in float32 gives such an attack no direction: that is no robustness, only rounding. The "
      "histogram has the logarithms of all probabilities that a network gives to any class."
    ),
    pictures=[
      *(
        _boxes(target, of_all_seeds[t], chosen, decades=_decades(of_all_seeds[t]))
        for t, target in enumerate(targets)
      ),
      _histogram(log_probabilities.reshape(len(models), -1), chosen),
    ],
    tables=[
      Table(
        caption=(
          "Lengths of the input gradient (ℓ₂), and the share of images where it is exactly zero."
        ),
        columns=["Network", "median", "5th percentile", "95th percentile", "zero, %"],
        groups=[
          RowGroup(
            [
              Row(
                model,
                [
                  *(number(float(np.percentile(values, q))) for q in (50, *WHISKERS)),
                  percent(float(np.mean(values == 0))),
                ],
              )
              for model, values in zip(models, of_all_seeds[t], strict=True)
            ],
            heading=f"Loss of class {target}",
          )
          for t, target in enumerate(targets)
        ],
        folded=True,
      )
    ],
    sheets=[
      Sheet(
        "gradients",
        ["target", "model", "seed", "example", "length"],
        [
          [target, model, seed, example, float(lengths[t, m, s, example])]
          for t, target in enumerate(targets)
          for m, model in enumerate(models)
          for s, seed in enumerate(seeds)
          for example in range(examples)
        ],
      )
    ],
  )


def _decades(lengths: np.ndarray) -> tuple[float, float]:
  """The powers of ten around the whiskers that do not end at zero; `lengths` [models, examples]."""
  ends = np.percentile(lengths, WHISKERS, axis=-1)
  positive = ends[ends > 0]
  if not positive.size:
    return -1.0, 0.0
  low = float(np.floor(np.log10(positive.min())))
  return low, max(float(np.ceil(np.log10(positive.max()))), low + 1)


def _boxes(
  target: str, lengths: np.ndarray, styles: dict[str, Style], *, decades: tuple[float, float]
) -> Picture:
  """One box per network; what is exactly zero stands left of the axis' lowest decade."""
  low, high = decades
  floor = low - 0.08 * (high - low)
  logs = np.where(lengths > 0, np.log10(np.where(lengths > 0, lengths, 1)), floor)
  labels = [canvas.wrap(model, 20) for model in styles]
  height = 0.95 + len(labels) * ROW_HEIGHT
  size = (canvas.CURVE_WIDTH, height)
  left = 0.3 + max(len(line) for label in labels for line in label.split("\n")) / 15

  def paint(figure: Figure) -> None:
    axes: Axes = figure.add_axes(
      (left / size[0], 0.48 / height, (size[0] - left - 0.2) / size[0], (height - 0.85) / height)
    )
    axes.axvspan(floor - (low - floor), (floor + low) / 2, color=RULE, linewidth=0)
    for row, (values, style) in enumerate(zip(logs, styles.values(), strict=True)):
      first, last = np.percentile(values, WHISKERS)
      start, median, end = np.percentile(values, (25, 50, 75))
      axes.plot([first, last], [row, row], color=style.colour, linewidth=1.2)
      axes.barh(row, end - start, left=start, height=0.5, color=style.colour, alpha=0.35)
      axes.plot(median, row, color=style.colour, marker=style.marker, markersize=6)
    step = max(1, math.ceil((high - low) / 5))
    shown = np.arange(high, low + step / 2, -step)
    axes.set_xticks([floor, *shown], ["0", *(f"1e{int(d)}".replace("-", "−") for d in shown)])
    axes.set_xlim(floor - (low - floor), high)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("length of the gradient")
    axes.set_title(f"Loss of class {target}", x=-left / (size[0] - left - 0.2), color="black")

  svg, png = canvas.draw(size, paint)
  medians = "; ".join(
    f"{model} {number(float(np.median(values)))}"
    for model, values in zip(styles, lengths, strict=True)
  )
  return Picture(
    name=f"lengths of {target}",
    caption=(
      f"Lengths of the gradient of the loss of class {target}. Box: quartiles; line: 5th to 95th "
      "percentile; mark: median. The grey strip holds gradients that are exactly zero."
    ),
    alt=f"Box plot of gradient lengths, loss of class {target}. Medians: {medians}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )


def _histogram(log_probabilities: np.ndarray, styles: dict[str, Style]) -> Picture:
  low = max(float(log_probabilities.min()), -400.0)
  edges = np.linspace(min(low, -1.0), 0, BINS + 1)
  counts = [np.histogram(np.clip(values, edges[0], 0), edges)[0] for values in log_probabilities]
  shares = [count / count.sum() for count in counts]

  def paint(axes: Axes) -> None:
    for share, style in zip(shares, styles.values(), strict=True):
      axes.stairs(share, edges, color=style.colour, linestyle=style.dash, linewidth=1.5)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    axes.set_xlim(edges[0], 0)
    axes.set_xlabel("log f(x)")
    axes.set_ylabel("share of the probabilities")
    axes.set_title("Log-probabilities of all classes")
    axes.axvline(0, color=QUIET, linewidth=0.7)

  size, svg, png = canvas.curve_figure(styles, paint)
  return Picture(
    name="log-probabilities",
    caption=(
      f"Histogram of the logarithms of all probabilities, in {BINS} bins; values below "
      f"{number(edges[0])} are in the first."
    ),
    alt=f"Histograms of log-probabilities. Medians: {_medians(log_probabilities, list(styles))}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )


def _medians(values: np.ndarray, models: Sequence[str]) -> str:
  return "; ".join(
    f"{model} {number(float(np.median(v)))}" for model, v in zip(models, values, strict=True)
  )
