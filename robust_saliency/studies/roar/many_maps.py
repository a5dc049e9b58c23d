"""ROAR and KAR of one network by many maps: a line, and a row of accuracies, for each map."""

import numpy as np
from matplotlib.axes import Axes

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import percent, percent_range
from robust_saliency.drawing.palette import QUIET, model_styles
from robust_saliency.drawing.section import Picture, Row, RowGroup, Table
from robust_saliency.results import of_networks
from robust_saliency.results.result import Result


def picture(result: Result, p: int) -> Picture:
  """The curves of all maps of the only network under one protocol, means over seeds."""
  known, arrays = result.layout.coordinates, result.arrays
  protocol, labels = known["protocol"][p], result.metadata["labels"]
  fractions = np.array(known["fraction"], np.float64)
  order = np.argsort(fractions)
  accuracies = arrays["accuracy"][p, :, 0].mean(axis=1)[:, order]
  by_chance = arrays["control"][p, known["control"].index("random")].mean(axis=0)[order]
  whole = float(arrays["unmodified"].mean())
  styles = model_styles([labels[name] for name in known["map"]])

  def paint(axes: Axes) -> None:
    axes.plot(fractions[order], by_chance, color=QUIET, linewidth=1.2, linestyle=(0, (4, 2)))
    axes.axhline(whole, color=QUIET, linewidth=0.7)
    for style, accuracy in zip(styles.values(), accuracies, strict=True):
      axes.plot(
        fractions[order],
        accuracy,
        color=style.colour,
        marker=style.marker,
        linestyle=style.dash,
        linewidth=1.7,
        markersize=4,
      )
    axes.yaxis.set_major_formatter(canvas.percent_label)
    axes.xaxis.set_major_formatter(canvas.percent_label)
    axes.set_xlabel("pixels removed")
    axes.set_ylabel("accuracy after retraining")
    axes.set_title(f"{protocol}: all maps")

  size, svg, png = canvas.curve_figure(styles, paint)
  at = percent(float(fractions[order][-1]))
  ends = "; ".join(
    f"{label} {percent(float(of_map[-1]))} %"
    for label, of_map in zip(styles, accuracies, strict=True)
  )
  return Picture(
    name=f"{protocol} all maps",
    caption=(
      f"{protocol} by each map: mean accuracy after retraining, over networks. Grey dashes: pixels "
      "drawn at random in each image; grey line: whole images."
    ),
    alt=f"Line chart of accuracy against the removed fraction, {protocol}. At {at} %: {ends}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )


def accuracies(result: Result) -> Table:
  """The accuracy by each map and fraction, with the interval over networks."""
  known, arrays, labels = result.layout.coordinates, result.arrays, result.metadata["labels"]
  return Table(
    caption=(
      "Accuracy after retraining in per cent, in brackets the 95 % interval over the explained "
      "networks."
    ),
    columns=["Pixels ranked by", *(f"{percent(one)} % removed" for one in known["fraction"])],
    groups=[
      RowGroup(
        [
          Row(labels[name], [_in_per_cent(of) for of in arrays["accuracy"][p, m, 0].T])
          for m, name in enumerate(known["map"])
        ],
        heading=protocol,
      )
      for p, protocol in enumerate(known["protocol"])
    ],
  )


def _in_per_cent(of_seeds: np.ndarray) -> str:
  estimate = of_networks(of_seeds)
  if not np.isfinite(estimate.low):
    return percent(estimate.value)
  return f"{percent(estimate.value)} ({percent_range(estimate.low, estimate.high)})"
