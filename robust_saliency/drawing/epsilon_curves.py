"""Accuracy against epsilon: one curve per network."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import percent, short
from robust_saliency.drawing.palette import QUIET, Style
from robust_saliency.drawing.section import Picture
from robust_saliency.results import Estimates


def picture(
  name: str,
  label: str,
  norm_name: str,
  accuracy: Estimates,
  epsilons: Sequence[float],
  styles: dict[str, Style],
  training_epsilons: Mapping[str, float],
) -> Picture:
  """One curve per network, and a band around it.

  Args:
    name: the picture's name.
    label: what is done to the images, the picture's title.
    norm_name: the norm of the radii, in print.
    accuracy: arrays [models, epsilons] and their interval, the band.
    epsilons: the radii, in any order.
    styles: the models, in the order of the arrays.
    training_epsilons: the radii that models were trained with, marked where they lie on the axis.
  """
  order = np.argsort(epsilons, kind="stable")
  x = np.asarray(epsilons)[order]
  marked: dict[float, list[str]] = {}
  for model, epsilon in training_epsilons.items():
    if model in styles and x[0] <= epsilon <= x[-1]:
      marked.setdefault(epsilon, []).append(model)

  def paint(axes: Axes) -> None:
    for epsilon, trained in marked.items():
      colour = styles[trained[0]].colour if len(trained) == 1 else QUIET
      axes.axvline(epsilon, color=colour, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
    for m, style in enumerate(styles.values()):
      low, high = accuracy.low[m][order], accuracy.high[m][order]
      axes.fill_between(x, low, high, color=style.colour, alpha=0.16, linewidth=0)
      axes.plot(
        x,
        accuracy.value[m][order],
        color=style.colour,
        marker=style.marker,
        linestyle=style.dash,
        linewidth=1.7,
        markersize=4,
        clip_on=False,
        zorder=3,
      )
    axes.set_ylim(0, 1)
    if x[-1] > x[0]:
      axes.set_xlim(x[0], x[-1])
    axes.yaxis.set_major_formatter(canvas.percent_label)
    axes.set_title(canvas.wrap(label, 46))
    axes.set_ylabel("accuracy")
    axes.set_xlabel(f"perturbation size ε ({norm_name})")

  size, svg, png = canvas.curve_figure(styles, paint)
  training = "".join(
    f" Dotted at ε = {short(epsilon)}: trained with it were {', '.join(trained)}."
    for epsilon, trained in sorted(marked.items())
  )
  first, last = accuracy.value[:, order[0]], accuracy.value[:, order[-1]]
  ends = "; ".join(
    f"{model} {percent(first[m])} % and {percent(last[m])} %" for m, model in enumerate(styles)
  )
  return Picture(
    name=name,
    caption=f"{label}. Line: mean accuracy. Band: {accuracy.interval}.{training}",
    alt=(
      f"Line chart of accuracy against perturbation size under {label}. "
      f"At ε = {short(x[0])} and ε = {short(x[-1])}: {ends}."
    ),
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )
