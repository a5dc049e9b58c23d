"""Accuracy against epsilon: one curve per network."""

from collections.abc import Callable, Mapping, Sequence

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
  published: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
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
    published: model -> radii and accuracies that a paper gives, drawn as open marks.
  """
  order = np.argsort(epsilons, kind="stable")
  marked = _trained_with(training_epsilons, styles, np.asarray(epsilons))
  papers = _on_the_axis(published or {}, styles, np.asarray(epsilons))
  paint = painter(label, norm_name, accuracy, epsilons, styles, marked=marked, papers=papers)
  size, svg, png = canvas.curve_figure(styles, paint)
  training = "".join(
    f" Dotted at ε = {short(epsilon)}: trained with it were {', '.join(trained)}."
    for epsilon, trained in sorted(marked.items())
  )
  x = np.asarray(epsilons)[order]
  first, last = accuracy.value[:, order[0]], accuracy.value[:, order[-1]]
  ends = "; ".join(
    f"{model} {percent(first[m])} % and {percent(last[m])} %" for m, model in enumerate(styles)
  )
  return Picture(
    name=name,
    caption=f"{label}. Line: mean accuracy. Band: {accuracy.interval}.{training}"
    + (" Open marks: the paper’s own numbers." if papers else ""),
    alt=(
      f"Line chart of accuracy against perturbation size under {label}. "
      f"At ε = {short(x[0])} and ε = {short(x[-1])}: {ends}."
    ),
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )


def painter(
  label: str,
  norm_name: str,
  accuracy: Estimates,
  epsilons: Sequence[float],
  styles: Mapping[str, Style],
  *,
  marked: Mapping[float, Sequence[str]] | None = None,
  papers: Mapping[str, np.ndarray] | None = None,
) -> Callable[[Axes], None]:
  """What draws the curves; `marked` is radius -> networks, `papers` network -> [2, points]."""
  order = np.argsort(epsilons, kind="stable")
  x = np.asarray(epsilons)[order]

  def paint(axes: Axes) -> None:
    for epsilon, trained in (marked or {}).items():
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
    for model, points in (papers or {}).items():
      axes.plot(
        *points,
        color=styles[model].colour,
        marker=styles[model].marker,
        linestyle="none",
        markerfacecolor="none",
        markersize=7,
        clip_on=False,
        zorder=4,
      )
    axes.set_ylim(0, 1)
    if x[-1] > x[0]:
      axes.set_xlim(x[0], x[-1])
    axes.yaxis.set_major_formatter(canvas.percent_label)
    axes.set_title(canvas.wrap(label, 46))
    axes.set_ylabel("accuracy")
    axes.set_xlabel(f"perturbation size ε ({norm_name})")

  return paint


def _trained_with(
  training_epsilons: Mapping[str, float], styles: Mapping[str, Style], x: np.ndarray
) -> dict[float, list[str]]:
  """Radius -> the networks that were trained with it, where the axis reaches."""
  marked: dict[float, list[str]] = {}
  for model, epsilon in training_epsilons.items():
    if model in styles and x.min() <= epsilon <= x.max():
      marked.setdefault(epsilon, []).append(model)
  return marked


def _on_the_axis(
  published: Mapping[str, tuple[Sequence[float], Sequence[float]]],
  styles: Mapping[str, Style],
  x: np.ndarray,
) -> dict[str, np.ndarray]:
  """Network -> the paper's points [2, points], where the axis reaches."""
  papers = {}
  for model, curve in published.items():
    shown = [point for point in zip(*curve, strict=True) if x.min() <= point[0] <= x.max()]
    if model in styles and shown:
      papers[model] = np.array(shown).T
  return papers
