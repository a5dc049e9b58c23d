"""Many small images in one grid, each pixel the same whole number of dots."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from robust_saliency.drawing import canvas
from robust_saliency.drawing.palette import RULE, Style

# In dots of the PNG: a tile's width is the multiple of the image's that is next to this.
TILE, GAP, MARGIN = 84, 12, 12
HEADING, LABELS = 44, 36
MARK = 20  # side of a frame's corner mark
CHARACTER = 13  # an average one of the labels'
LONGEST_LABEL = 14


@dataclasses.dataclass(frozen=True)
class Frame:
  """How a tile is outlined; `marked` fills a corner, so that colour does not stand alone."""

  colour: str = RULE
  width: float = 0.7  # points
  marked: bool = False


def mosaic(
  tiles: np.ndarray,
  rows: Sequence[str],
  columns: Sequence[str],
  *,
  title: str,
  style: Style | None = None,
  row_heading: str = "",
  column_heading: str = "",
  frames: Mapping[tuple[int, int], Frame] | None = None,
) -> tuple[tuple[float, float], bytes, bytes]:
  """Draws images side by side, without smoothing and on one scale of grey, 0 black, 255 white.

  Args:
    tiles: uint8 [R, C, H, W, channels], with 1 or 3 channels; others are averaged.
    rows: the rows' labels.
    columns: the columns' labels, above them.
    title: stands on top.
    style: whose colour precedes the title; None for no square.
    row_heading: what the rows are.
    column_heading: what the columns are.
    frames: (row, column) -> its outline; a thin grey one for the others.

  Returns:
    The figure's size in inches, its SVG and its PNG.
  """
  rows, columns = ([_shortened(label) for label in labels] for labels in (rows, columns))
  height, width = tiles.shape[2:4]
  factor = max(1, round(TILE / width))
  tile_height, tile_width = height * factor, width * factor
  sheet = _sheet(tiles, factor)
  upright = max(map(len, columns)) * CHARACTER > tile_width
  longest = max(map(len, columns)) * CHARACTER if upright else 0
  left = MARGIN + (36 if row_heading else 0) + max(map(len, rows)) * CHARACTER
  top = MARGIN + HEADING + (LABELS if column_heading else 0) + max(LABELS, longest)
  least = MARGIN + 60 + len(title) * 18
  dots = (max(left + sheet.shape[1] + MARGIN, least), top + sheet.shape[0] + MARGIN)
  size = (dots[0] / canvas.PNG_DOTS_PER_INCH, dots[1] / canvas.PNG_DOTS_PER_INCH)

  def paint(figure: Figure) -> None:
    axes = figure.add_axes(
      (left / dots[0], MARGIN / dots[1], sheet.shape[1] / dots[0], sheet.shape[0] / dots[1])
    )
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.imshow(
      sheet, extent=(0, sheet.shape[1], sheet.shape[0], 0), interpolation="none", aspect="auto"
    )
    for row, column in np.ndindex(tiles.shape[:2]):
      frame = (frames or {}).get((row, column), Frame())
      x, y = column * (tile_width + GAP) + GAP / 2, row * (tile_height + GAP) + GAP / 2
      # The line lies outside the image, also where it is snapped to whole dots.
      out = frame.width * canvas.PNG_DOTS_PER_INCH / 72 / 2 + 1
      axes.add_patch(
        Rectangle(
          (x - out, y - out),
          tile_width + 2 * out,
          tile_height + 2 * out,
          fill=False,
          edgecolor=frame.colour,
          linewidth=frame.width,
          joinstyle="miter",
        )
      )
      if frame.marked:
        end = x + tile_width
        corner = [(end - MARK, y), (end, y), (end, y + MARK)]
        axes.add_patch(Polygon(corner, facecolor=frame.colour, linewidth=0))
    axes.set_xlim(0, sheet.shape[1])
    axes.set_ylim(sheet.shape[0], 0)
    axes.set_xticks(
      (np.arange(len(columns)) + 0.5) * (tile_width + GAP), columns, rotation=90 if upright else 0
    )
    axes.set_yticks((np.arange(len(rows)) + 0.5) * (tile_height + GAP), rows)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False, pad=3, labelsize=8)
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(column_heading, labelpad=4)
    axes.set_ylabel(row_heading, labelpad=4)
    x, y = MARGIN / dots[0], 1 - (MARGIN + 4) / dots[1]
    if style is not None:
      figure.text(x, y, "■", color=style.colour, fontsize=10, va="top")
      x += 32 / dots[0]
    figure.text(x, y, title, fontsize=10, fontweight="bold", va="top")

  return size, *canvas.draw(size, paint)


def _sheet(tiles: np.ndarray, factor: int) -> np.ndarray:
  """All tiles on white, GAP dots apart and GAP / 2 from the edge: uint8 [height, width, 3]."""
  if tiles.shape[-1] != 3:
    grey = np.rint(tiles.mean(axis=-1, keepdims=True)).astype(np.uint8)
    tiles = np.repeat(grey, 3, axis=-1)
  large = tiles.repeat(factor, axis=2).repeat(factor, axis=3)
  half = GAP // 2
  apart = np.pad(large, [(0, 0), (0, 0), (half, half), (half, half), (0, 0)], constant_values=255)
  rows, columns, height, width, _ = apart.shape
  return apart.swapaxes(1, 2).reshape(rows * height, columns * width, 3)


def _shortened(label: str) -> str:
  return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
