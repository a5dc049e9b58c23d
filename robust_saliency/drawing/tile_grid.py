"""Rows of images side by side: a heading above each row, words below each image, colour bars."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from robust_saliency.drawing.palette import QUIET, RULE, WRONG, Style

# In inches.
TILE, GAP, MARGIN, BAR = 0.92, 0.08, 0.08, 0.75
HEADING, FOOTER = 0.3, 0.24
LEAST_COLUMNS = 4  # of the figure's width, so that headings have room
LONGEST = 13  # characters below an image


class TileGrid:
  """Tiles of one size in a figure.

  Args:
    figure: of the size that `size` gives.
    columns: images in a row.
    rows: number of rows.
    shape: (height, width) of the images.
    bars: whether there is room for colour bars.
  """

  def __init__(
    self, figure: Figure, columns: int, rows: int, shape: tuple[int, ...], *, bars: bool = True
  ):
    self._figure, self._columns = figure, columns
    self._size = self.size(columns, rows, shape, bars=bars)
    self._height = TILE * shape[0] / shape[1]

  @staticmethod
  def size(
    columns: int, rows: int, shape: tuple[int, ...], *, bars: bool = True
  ) -> tuple[float, float]:
    """The figure's size in inches."""
    row_height = HEADING + TILE * shape[0] / shape[1] + FOOTER
    width = 2 * MARGIN + max(columns, LEAST_COLUMNS) * (TILE + GAP) + BAR * bars
    return width, MARGIN + rows * row_height

  def tile(self, column: int, row: int, below: str = "", *, right: bool = True) -> Axes:
    """Empty axes with a frame.

    Args:
      column: its place.
      row: its place.
      below: what is written below it, cut if it is long.
      right: False puts a cross before it and a red frame around the tile.
    """
    axes = self._axes(column, row, TILE)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(RULE if right else WRONG)
    axes.spines[:].set_linewidth(0.7 if right else 1.6)
    if below:
      text = below if right else f"✗ {below}"
      text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
      axes.set_xlabel(text, color=QUIET if right else WRONG, fontsize=8, labelpad=3)
    return axes

  def heading(self, row: int, text: str, style: Style | None = None) -> None:
    """Writes above a row, after a square of the style's colour."""
    x, y = MARGIN / self._size[0], 1 - (self._top(row) + HEADING - 0.1) / self._size[1]
    if style is not None:
      self._figure.text(x, y, "■", color=style.colour, fontsize=10, va="baseline")
      x += 0.17 / self._size[0]
    self._figure.text(x, y, text, fontsize=9, fontweight="bold", va="baseline")

  def bar(self, row: int, colours: ScalarMappable) -> None:
    """Puts a colour bar at the end of a row."""
    axes = self._axes(self._columns, row, 0.09)
    self._figure.colorbar(colours, cax=axes)
    low, high = colours.get_clim()
    ticks = [float(end) for end in (low, 0 if low else None, high) if end is not None]
    axes.set_yticks(ticks, [f"{tick:.2g}".replace("-", "−") for tick in ticks])
    axes.tick_params(length=2, labelsize=7)
    axes.spines[:].set_linewidth(0.5)

  def _axes(self, column: int, row: int, width: float) -> Axes:
    left = MARGIN + column * (TILE + GAP)
    bottom = self._size[1] - self._top(row) - HEADING - self._height
    whole_width, whole_height = self._size
    axes = self._figure.add_axes(
      (
        left / whole_width,
        bottom / whole_height,
        width / whole_width,
        self._height / whole_height,
      )
    )
    axes.grid(False)
    return axes

  def _top(self, row: int) -> float:
    return MARGIN + row * (HEADING + self._height + FOOTER)


def show_image(axes: Axes, image: np.ndarray) -> None:
  """Draws one image [H, W, C] in [0, 1]; other than three channels become grey."""
  if image.shape[-1] == 3:
    axes.imshow(np.clip(image, 0, 1), interpolation="none", aspect="auto")
  else:
    grey = image.mean(axis=-1)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="auto")
