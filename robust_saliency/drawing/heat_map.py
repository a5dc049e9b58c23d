"""Accuracy of each network on the adversarial examples of each other, as a heat map."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import percent
from robust_saliency.drawing.palette import INK

COLOUR_MAP = "Blues"
OUTLINE = "#D55E00"  # of the diagonal: seen on pale and on dark cells
WIDTH = 4.6  # of the figure, in inches
CHARACTERS_PER_INCH = 14  # of the labels' font, on average


def painter(
  accuracy: np.ndarray, models: Sequence[str], *, title: str
) -> tuple[tuple[float, float], Callable[[Figure], None]]:
  """A row for each source network, a column for each target network, the diagonal outlined.

  Args:
    accuracy: [source, target], fractions; NaN leaves a cell without a number.
    models: the names.
    title: stands on top.

  Returns:
    The figure's size in inches, and what paints it.
  """
  count = len(models)
  rows, columns, _ = _labels(models)
  label_width = 0.4 + max(len(line) for row in rows for line in row.split("\n")) / 17
  bar_width = 0.74
  side = min((WIDTH - label_width - bar_width) / count, 0.95)
  row_height = max(min(side, 0.6), 0.08 + 0.125 * max(row.count("\n") + 1 for row in rows))
  height = count * row_height
  top = 0.78 + 0.14 * max(column.count("\n") for column in columns)
  size = (WIDTH, top + height + 0.12)
  colours = ScalarMappable(Normalize(0, 1), colormaps[COLOUR_MAP])

  def paint(figure: Figure) -> None:
    left, bottom = label_width / size[0], 0.12 / size[1]
    axes = figure.add_axes((left, bottom, count * side / size[0], height / size[1]))
    axes.imshow(accuracy, cmap=COLOUR_MAP, vmin=0, vmax=1, aspect="auto", interpolation="none")
    axes.set_xticks(range(count), columns)
    axes.set_yticks(range(count), rows)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, pad=4, labelsize=7.5)
    axes.set_xlabel("target network", labelpad=5)
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("source network", labelpad=5)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    for border in np.arange(1, count) - 0.5:
      axes.axhline(border, color="white", linewidth=1.5)
      axes.axvline(border, color="white", linewidth=1.5)
    for i in range(count):
      axes.add_patch(
        Rectangle((i - 0.46, i - 0.46), 0.92, 0.92, fill=False, edgecolor=OUTLINE, linewidth=1.4)
      )
      for j in range(count):
        red, green, blue, alpha = colours.to_rgba(accuracy[i, j])
        # A cell without a number is transparent.
        dark = alpha > 0 and 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
        axes.text(
          j,
          i,
          percent(accuracy[i, j]),
          ha="center",
          va="center",
          color="white" if dark else INK,
          fontsize=8.5 if side > 0.5 else 7,
        )
    bar = figure.add_axes(
      (left + (count * side + 0.14) / size[0], bottom, 0.09 / size[0], height / size[1])
    )
    figure.colorbar(colours, cax=bar, format=canvas.percent_label, ticks=[0, 0.5, 1])
    bar.tick_params(length=2)
    bar.spines[:].set_visible(False)
    figure.text(
      0.06 / size[0],
      1 - 0.06 / size[1],
      canvas.wrap(title, 44),
      va="top",
      fontsize=10,
      fontweight="bold",
    )

  return size, paint


def is_legible(models: Sequence[str]) -> bool:
  """Whether the columns carry names, not just the rows' numbers.

  >>> is_legible(["standard", "pgd"]), is_legible(["trained on perturbed images", "plain"])
  (True, False)
  """
  return _labels(models)[2]


def _labels(models: Sequence[str]) -> tuple[list[str], list[str], bool]:
  """Labels of rows and columns, and whether the columns carry names, not just numbers.

  >>> _labels(["standard", "pgd"])
  (['standard', 'pgd'], ['standard', 'pgd'], True)
  >>> _labels(["trained on perturbed images", "plain"])[1:]
  (['1', '2'], False)
  """
  width = max(1, int(min(2.6 / len(models), 0.95) * CHARACTERS_PER_INCH))
  columns = [canvas.wrap(model, width) for model in models]
  lines = [line for column in columns for line in column.split("\n")]
  broken = any(len(word) > width for model in models for word in model.split())
  if (
    not broken
    and max(column.count("\n") for column in columns) < 2
    and max(map(len, lines)) <= width
  ):
    return [canvas.wrap(model, 20) for model in models], columns, True
  rows = [canvas.wrap(f"{i + 1}  {model}", 20) for i, model in enumerate(models)]
  return rows, [str(i + 1) for i in range(len(models))], False
