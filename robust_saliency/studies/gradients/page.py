"""The section on input gradients: their norms, and how confident the networks are."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from robust_saliency.drawing import boxes, canvas
from robust_saliency.drawing.formatting import number, percent
from robust_saliency.drawing.palette import QUIET, RULE, Style
from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results.result import Result

BINS = 50
# A network whose log-probabilities go lower than this has a histogram of its own: float32 holds no
# such probability.
FAR = float(np.log(np.finfo(np.float32).smallest_subnormal))


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `gradient_norm` [target, model, seed, example] and `log_probabilities`.

  Args:
    result: of a gradients study.
    styles: how each network is drawn.

  Returns:
    A section with a figure of boxes per target and one of the log-probabilities, a table and a
    sheet.
  """
  models, seeds, targets = (result.layout.coordinates[axis] for axis in ("model", "seed", "target"))
  norms = result.arrays["gradient_norm"].astype(np.float64)
  is_zero, log_probabilities = result.arrays["is_zero"], result.arrays["log_probabilities"]
  examples = norms.shape[-1]
  of_all_seeds = _or_nan(norms.reshape(len(targets), len(models), -1))
  over = f" of {len(seeds)} seeds" if len(seeds) > 1 else ""
  chosen = {model: styles[model] for model in models}
  return Section(
    title="Gradient norms and confidence",
    reading=(
      f"The ℓ₂ norm of the gradient of the loss at {examples:,} images{over}: the loss of the "
      "true class y, which FGSM follows, of the next class y + 1, and of all classes alike, 1/K. A "
      "gradient that is exactly zero in float32 gives such an attack no direction: that is no "
      "robustness, only rounding. The histogram has the logarithms of all probabilities that a "
      f"network gives to any class, of the first {log_probabilities.shape[2]:,} images."
    ),
    pictures=[
      *(_boxes(target, of_all_seeds[t], chosen) for t, target in enumerate(targets)),
      *_histograms(_or_nan(log_probabilities.reshape(len(models), -1)), chosen),
    ],
    tables=[
      Table(
        caption=(
          "Norms of the input gradient (ℓ₂), and the share of images where it is exactly zero."
        ),
        columns=["Network", "median", "mean", "5th percentile", "95th percentile", "zero, %"],
        groups=[
          RowGroup(
            [
              Row(
                model,
                [
                  *(number(float(n)) for n in (np.median(values), values.mean())),
                  *(number(float(n)) for n in np.percentile(values, boxes.WHISKERS)),
                  percent(float(is_zero[t, m].mean())),
                ],
              )
              for m, (model, values) in enumerate(zip(models, of_all_seeds[t], strict=True))
            ],
            heading=f"Loss of {target}",
          )
          for t, target in enumerate(targets)
        ],
        folded=True,
      )
    ],
    sheets=[
      Sheet(
        "gradients",
        ["target", "model", "seed", "example", "gradient_norm"],
        [
          [target, model, seed, example, float(norms[t, m, s, example])]
          for t, target in enumerate(targets)
          for m, model in enumerate(models)
          for s, seed in enumerate(seeds)
          for example in range(examples)
        ],
      )
    ],
  )


def _or_nan(values: np.ndarray) -> np.ndarray:
  """The values with NaN for what is not finite, so that percentiles of it are NaN, no warning."""
  return np.where(np.isfinite(values), values, np.nan)


def _finite(values: np.ndarray) -> list[np.ndarray]:
  """The finite values of each model."""
  return [of_model[np.isfinite(of_model)] for of_model in values]


def _decades(norms: Sequence[np.ndarray]) -> tuple[float, float]:
  """The powers of ten around every model's whiskers and mean, but for those at zero."""
  shown = np.array(
    [[*np.percentile(values, boxes.WHISKERS), values.mean()] for values in norms if len(values)]
  )
  shown = shown[shown > 0]
  if not shown.size:
    return -1.0, 0.0
  low = float(np.floor(np.log10(shown.min())))
  return low, max(float(np.ceil(np.log10(shown.max()))), low + 1)


def _boxes(target: str, norms: np.ndarray, styles: dict[str, Style]) -> Picture:
  """One box per network; what is exactly zero stands left of the axis' lowest decade."""
  finite = _finite(norms)
  low, high = _decades(finite)
  floor = low - 0.08 * (high - low)

  def place(values: np.ndarray | np.floating) -> np.ndarray:
    return np.where(values == 0, floor, np.log10(np.where(values == 0, 1, values)))

  def paint(axes: Axes) -> None:
    axes.axvspan(floor - (low - floor), (floor + low) / 2, color=RULE, linewidth=0)
    step = max(1, math.ceil((high - low) / 5))
    shown = np.arange(high, low + step / 2, -step)
    axes.set_xticks([floor, *shown], ["0", *(f"1e{int(d)}".replace("-", "−") for d in shown)])
    axes.set_xlim(floor - (low - floor), high)

  size, svg, png = boxes.draw(
    [place(values) for values in finite],
    styles,
    paint,
    title=f"Loss of {target}",
    axis="norm of the gradient",
    means=[float(place(values.mean())) if len(values) else np.nan for values in finite],
  )
  return Picture(
    name=f"gradient norms of {target}",
    caption=(
      f"Norms of the gradient of the loss of {target}. {boxes.LEGEND}; square: mean. The "
      "grey strip holds gradients that are exactly zero."
    ),
    alt=(
      f"Box plot of gradient norms, loss of {target}. Medians: {boxes.medians(finite, styles)}."
    ),
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )


def _histograms(log_probabilities: np.ndarray, styles: dict[str, Style]) -> list[Picture]:
  """One histogram, or two where some networks would leave the others a few bins of it."""
  is_far = np.percentile(log_probabilities, 1, axis=-1) < FAR
  title = "Log-probabilities of all classes"
  if is_far.all() or not is_far.any():
    return [_histogram("log-probabilities", title, log_probabilities, styles)]
  models = np.array(list(styles))
  near, far = ({model: styles[model] for model in models[part]} for part in (~is_far, is_far))
  lower = "Log-probabilities that go far lower"
  return [
    _histogram("log-probabilities", title, log_probabilities[~is_far], near),
    _histogram("lower log-probabilities", lower, log_probabilities[is_far], far),
  ]


def _histogram(
  name: str, title: str, log_probabilities: np.ndarray, styles: dict[str, Style]
) -> Picture:
  finite = _finite(log_probabilities)
  lowest = min((float(values.min()) for values in finite if len(values)), default=-1.0)
  edges = np.linspace(min(lowest, -1.0), 0, BINS + 1)
  shares = [np.histogram(values, edges)[0] / log_probabilities.shape[-1] for values in finite]

  def paint(axes: Axes) -> None:
    for share, style in zip(shares, styles.values(), strict=True):
      axes.stairs(share, edges, color=style.colour, linestyle=style.dash, linewidth=1.5)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    axes.set_xlim(edges[0], 0)
    axes.set_xlabel("log f(x)")
    axes.set_title(title)
    axes.axvline(0, color=QUIET, linewidth=0.7)

  # The lines of a histogram bear no markers, nor does its legend.
  lines = {model: dataclasses.replace(style, marker="") for model, style in styles.items()}
  size, svg, png = canvas.curve_figure(lines, paint)
  return Picture(
    name=name,
    caption=(
      f"Histogram of the logarithms of all probabilities of {', '.join(styles)}, in {BINS} bins "
      f"from {number(edges[0])} to 0; upwards, on a logarithmic scale, each bin’s share of them."
    ),
    alt=f"Histograms of log-probabilities. Medians: {boxes.medians(finite, styles)}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )
