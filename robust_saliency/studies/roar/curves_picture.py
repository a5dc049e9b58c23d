"""Curves of accuracy after retraining over those of random pixels."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import percent
from robust_saliency.drawing.palette import QUIET, Style
from robust_saliency.drawing.section import Picture
from robust_saliency.results.result import Result


def curves_picture(
  result: Result,
  p: int,
  accuracies: Mapping[str, np.ndarray],
  styles: Mapping[str, Style],
  *,
  name: str,
  title: str,
  caption: str,
) -> Picture:
  """Draws accuracies under one protocol over those without random pixels and on whole images.

  Args:
    result: of ROAR.
    p: the protocol's place.
    accuracies: what the legend calls a curve -> [fraction], in the layout's order.
    styles: how each is drawn.
    name: as of `Picture`.
    title: above the axes.
    caption: what the curves are; what the grey lines are is added.
  """
  known, arrays = result.layout.coordinates, result.arrays
  fractions = np.array(known["fraction"], np.float64)
  order = np.argsort(fractions)
  by_chance = arrays["control"][p, known["control"].index("random")].mean(axis=0)
  whole = float(arrays["unmodified"].mean())

  def paint(axes: Axes) -> None:
    axes.plot(fractions[order], by_chance[order], color=QUIET, linewidth=1.2, linestyle=(0, (4, 2)))
    axes.axhline(whole, color=QUIET, linewidth=0.7)
    for label, accuracy in accuracies.items():
      axes.plot(
        fractions[order],
        accuracy[order],
        color=styles[label].colour,
        marker=styles[label].marker,
        linestyle=styles[label].dash,
        linewidth=1.7,
        markersize=4,
      )
    axes.yaxis.set_major_formatter(canvas.percent_label)
    axes.xaxis.set_major_formatter(canvas.percent_label)
    axes.set_xlabel("pixels removed")
    axes.set_ylabel("accuracy after retraining")
    axes.set_title(canvas.wrap(title, 46))

  size, svg, png = canvas.curve_figure({label: styles[label] for label in accuracies}, paint)
  middle = order[len(order) // 2]
  said = "; ".join(f"{label} {percent(float(of[middle]))} %" for label, of in accuracies.items())
  return Picture(
    name=name,
    caption=f"{caption} Grey dashes: pixels drawn at random; grey line: whole images.",
    alt=(
      f"Line chart of accuracy against the removed fraction, {known['protocol'][p]}. At "
      f"{percent(float(fractions[middle]))} %: {said}."
    ),
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )
