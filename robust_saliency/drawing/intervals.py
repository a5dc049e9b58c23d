"""Numbers with their intervals, one row each, between lines that they are held against."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robust_saliency.drawing import canvas
from robust_saliency.drawing.palette import INK, QUIET, Style
from robust_saliency.results.estimate import Estimate

ROW_HEIGHT = 0.34  # inches


def draw(
  estimates: Sequence[Estimate],
  styles: Mapping[str, Style],
  *,
  title: str,
  axis: str,
  lines: Mapping[str, float],
  label: Callable[[float, float | None], str] = canvas.percent_label,
) -> tuple[tuple[float, float], bytes, bytes]:
  """A figure of one number a row, with a line from one end of its interval to the other.

  Args:
    estimates: of each row; an interval without ends is not drawn.
    styles: the rows' names and how they are drawn.
    title: what is shown.
    axis: what the numbers are.
    lines: what a dashed upright line is -> where it stands.
    label: prints a number of the axis.

  Returns:
    The figure's size in inches, its SVG and its PNG.
  """
  labels = [canvas.wrap(name, 22) for name in styles]
  lines_of = max((text.count("\n") + 1 for text in labels), default=1)
  height = 1.0 + len(labels) * max(ROW_HEIGHT, 0.16 * lines_of) + 0.16 * len(lines)
  size = (canvas.CURVE_WIDTH, height)
  left = 0.3 + max(len(line) for text in labels for line in text.split("\n")) / 14
  width, foot = size[0] - left - 0.2, 0.5 + 0.16 * len(lines)

  def paint(figure: Figure) -> None:
    axes: Axes = figure.add_axes(
      (left / size[0], foot / height, width / size[0], (height - foot - 0.36) / height)
    )
    for row, (estimate, style) in enumerate(zip(estimates, styles.values(), strict=True)):
      if np.isfinite(estimate.low):
        ends = [estimate.low, estimate.high]
        axes.plot(ends, [row, row], color=style.colour, linewidth=1.6, solid_capstyle="butt")
      axes.plot(estimate.value, row, color=style.colour, marker=style.marker, markersize=6)
    for place, dash in zip(lines.values(), ((0, (4, 2)), (0, (1.2, 1.6)), "solid"), strict=False):
      axes.axvline(place, color=INK, linewidth=0.9, linestyle=dash, zorder=0)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.06)
    axes.xaxis.set_major_formatter(label)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(axis)
    axes.set_title(title, x=-(left - 0.06) / width, color="black")
    for i, (what, mark) in enumerate(zip(lines, ("– –", "· ·", "—"), strict=False)):
      figure.text(
        left / size[0], (0.06 + 0.16 * (len(lines) - 1 - i)) / height,
        f"{mark}  {what}", fontsize=7.5, color=QUIET,
      )  # fmt: skip

  return size, *canvas.draw(size, paint)
