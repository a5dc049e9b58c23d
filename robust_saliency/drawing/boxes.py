"""Box plots: one row per network."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import number
from robust_saliency.drawing.palette import INK, Style

QUARTILES = (25, 75)
WHISKERS = (5, 95)  # percentiles
LEGEND = f"Box: quartiles; line: {WHISKERS[0]}th to {WHISKERS[1]}th percentile; mark: median"

ROW_HEIGHT = 0.36  # inches


def draw(
  values: Sequence[np.ndarray],
  styles: dict[str, Style],
  paint: Callable[[Axes], None],
  *,
  title: str,
  axis: str,
  means: Sequence[float] | None = None,
) -> tuple[tuple[float, float], bytes, bytes]:
  """A figure of one box per network, lying; none where a network has no values.

  Args:
    values: of each network, where they stand on the axis.
    styles: the networks and how they are drawn.
    paint: sets the axis' limits and ticks, before the boxes are drawn.
    title: what is shown.
    axis: what the numbers on the axis are.
    means: where each network's mean stands; a square is drawn there unless it is not finite.

  Returns:
    The figure's size in inches, its SVG and its PNG.
  """
  labels = [canvas.wrap(model, 20) for model in styles]
  height = 0.95 + len(labels) * ROW_HEIGHT
  size = (canvas.CURVE_WIDTH, height)
  left = 0.3 + max(len(line) for label in labels for line in label.split("\n")) / 15
  width = size[0] - left - 0.2

  def paint_all(figure: Figure) -> None:
    axes: Axes = figure.add_axes(
      (left / size[0], 0.48 / height, width / size[0], (height - 0.85) / height)
    )
    paint(axes)
    for row, (of_model, style) in enumerate(zip(values, styles.values(), strict=True)):
      if not len(of_model):
        continue
      first, last = np.percentile(of_model, WHISKERS)
      start, end = np.percentile(of_model, QUARTILES)
      axes.plot([first, last], [row, row], color=style.colour, linewidth=1.2)
      axes.barh(row, end - start, left=start, height=0.5, color=style.colour, alpha=0.35)
      axes.plot(np.median(of_model), row, color=style.colour, marker=style.marker, markersize=6)
    for row, mean in enumerate(means or ()):
      if np.isfinite(mean):
        axes.plot(
          mean, row, marker="s", markersize=4, markerfacecolor="none", markeredgecolor=INK, zorder=4
        )
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=True, axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(axis)
    axes.set_title(title, x=-(left - 0.06) / width, color="black")

  return size, *canvas.draw(size, paint_all)


def medians(values: Sequence[np.ndarray], styles: dict[str, Style]) -> str:
  """Each network's median in words, for a figure's alternative text."""
  return "; ".join(
    f"{model} {number(float(np.median(of_model)) if len(of_model) else np.nan)}"
    for model, of_model in zip(styles, values, strict=True)
  )
