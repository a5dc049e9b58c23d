"""The figures' common look, and their bytes: the same for the same input, on any machine."""

import contextlib
import io
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from robust_saliency.drawing.palette import COLOURS, INK, PAPER, QUIET, RULE, WRONG, Style

CSS_PIXELS_PER_INCH = 96
PNG_DOTS_PER_INCH = 192  # two per CSS pixel, so that browsers scale it without blur
MOST_PIXELS = 4_000_000  # of a picture that is kept in a repository as sharp as it is
CURVE_WIDTH = 4.2  # inches; at this size the text is legible on a telephone

STYLE: dict[Any, Any] = {
  "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine has it
  "font.size": 8.5,
  "text.color": INK,
  "text.parse_math": False,  # a "$" in a model's name is a dollar
  "text.usetex": False,
  "axes.edgecolor": QUIET,
  "axes.labelcolor": INK,
  "axes.labelsize": 8.5,
  "axes.linewidth": 0.7,
  "axes.titlesize": 10,
  "axes.titleweight": "bold",
  "axes.titlelocation": "left",
  "axes.titlepad": 9,
  "axes.spines.top": False,
  "axes.spines.right": False,
  "axes.axisbelow": True,
  "axes.grid": True,
  "axes.grid.axis": "y",
  "axes.unicode_minus": True,
  "grid.color": RULE,
  "grid.linewidth": 0.6,
  "xtick.color": QUIET,
  "ytick.color": QUIET,
  "xtick.labelcolor": INK,
  "ytick.labelcolor": INK,
  "xtick.labelsize": 8,
  "ytick.labelsize": 8,
  "legend.frameon": False,
  "legend.fontsize": 8,
  "figure.facecolor": PAPER,
  "savefig.facecolor": PAPER,
  "svg.fonttype": "path",  # text as outlines: the same in every browser
  "svg.hashsalt": "robust_saliency",  # otherwise the identifiers inside an SVG are random
}


def draw(figure_size: tuple[float, float], paint: Callable[[Figure], None]) -> tuple[bytes, bytes]:
  """Paints a figure and encodes it, untouched by the user's matplotlib settings and by the date.

  Args:
    figure_size: (width, height) in inches.
    paint: fills the empty figure.

  Returns:
    The figure as (SVG, PNG).
  """
  figure = painted(figure_size, paint)
  svg, png = io.BytesIO(), io.BytesIO()
  with _our_style():
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(png, format="png", dpi=PNG_DOTS_PER_INCH, metadata={"Software": None})
  return svg.getvalue(), png.getvalue()


def indexed(png: bytes) -> bytes:
  """The same picture with at most 256 colours, in a third of the bytes or so."""
  small = io.BytesIO()
  _of_few_colours(png, 256).save(small, format="png", optimize=True)
  return small.getvalue()


def webp(png: bytes, *, colours: int = 64) -> bytes:
  """The same picture in so few colours, as WebP: two thirds of what `indexed` makes of it."""
  small = io.BytesIO()
  image = _of_few_colours(png, colours).convert("RGB")
  image.save(small, format="webp", lossless=True, quality=100, method=4)
  return small.getvalue()


def _of_few_colours(png: bytes, colours: int) -> Image.Image:
  """The picture with a palette, of which networks, ink and paper have their own colours.

  They stay as they are, however few dots of them a sheet of maps has. One of a great many pixels,
  such as a sheet of maps, has half as many to either side, one per CSS pixel, and 64 colours: a
  page that keeps several still fits into a repository.
  """
  with Image.open(io.BytesIO(png)) as image:
    whole = image.convert("RGB")
  if whole.width * whole.height > MOST_PIXELS:
    whole, colours = whole.reduce(PNG_DOTS_PER_INCH // CSS_PIXELS_PER_INCH), min(colours, 64)
  kept = [bytes.fromhex(one[1:]) for one in (*COLOURS, WRONG, INK, PAPER)]
  others = whole.quantize(colours - len(kept), dither=Image.Dither.NONE).getpalette()
  assert others is not None  # it has just been given one
  all_colours = b"".join(kept) + bytes(others)
  palette = Image.new("P", (1, 1))
  palette.putpalette(all_colours)
  # Pillow takes a colour near a dot's own even where its own is there: white paper would be grey.
  nearest = np.array(whole.quantize(palette=palette, dither=Image.Dither.NONE))
  dots = np.asarray(whole)
  for index, colour in enumerate(kept):
    nearest[(dots == list(colour)).all(axis=-1)] = index
  few = Image.fromarray(nearest)
  few.putpalette(all_colours)
  return few


def painted(figure_size: tuple[float, float], paint: Callable[[Figure], None]) -> Figure:
  """A figure in our style, which its parts keep; the user's matplotlib settings stay theirs.

  Args:
    figure_size: (width, height) in inches.
    paint: fills the empty figure.
  """
  with _our_style():
    figure = Figure(figsize=figure_size, dpi=PNG_DOTS_PER_INCH)
    FigureCanvasAgg(figure)
    paint(figure)
  return figure


@contextlib.contextmanager
def _our_style() -> Iterator[None]:
  with mpl.rc_context():
    mpl.rcdefaults()
    mpl.rcParams.update(STYLE)
    yield


def percent_label(value: float, position: float | None = None) -> str:
  """An axis' label of a fraction: "40 %"."""
  del position  # matplotlib passes it
  return f"{100 * value:.0f} %"


def css_width(figure_size: tuple[float, float]) -> int:
  """The natural width on a page, in CSS pixels, of a figure of this size in inches."""
  return round(figure_size[0] * CSS_PIXELS_PER_INCH)


def wrap(text: str, width: int) -> str:
  r"""Breaks a long name into lines of at most `width` characters.

  >>> wrap("PGD-trained and gradient-regularised", 20)
  'PGD-trained and\ngradient-regularised'
  """
  return "\n".join(textwrap.wrap(text, width)) or text


def curve_figure(
  styles: dict[str, Style], paint: Callable[[Axes], None]
) -> tuple[tuple[float, float], bytes, bytes]:
  """The figure of `curve_painter`: its size in inches, its SVG and its PNG."""
  size, paint_all = curve_painter(styles, paint)
  return size, *draw(size, paint_all)


def curve_painter(
  styles: dict[str, Style], paint: Callable[[Axes], None]
) -> tuple[tuple[float, float], Callable[[Figure], None]]:
  """A figure of one pair of axes, with the legend of the models below it.

  The axes keep their size however many or long the names are: the figure grows instead.

  Args:
    styles: the models of the legend and how they are drawn.
    paint: draws the curves.

  Returns:
    The figure's size in inches, and what paints it.
  """
  names = [wrap(name, 46) for name in styles]
  longest = max((len(name) for name in styles), default=0)
  most_columns = 1 if longest > 19 else 2 if longest > 10 else 3 if longest > 4 else 4
  legend_rows = max(-(-len(names) // most_columns), 1)
  columns = max(-(-len(names) // legend_rows), 1)  # as few as those rows allow: 2 x 2, not 3 + 1
  lines = _legend_lines(names, columns)
  legend_height = 0.17 * lines + 0.08
  size = (CURVE_WIDTH, 2.85 + legend_height)

  def paint_all(figure: Figure) -> None:
    width, height = size
    axes = figure.add_axes(
      (0.68 / width, (legend_height + 0.48) / height, (width - 0.86) / width, 1.98 / height)
    )
    paint(axes)
    handles = [
      Line2D([], [], color=s.colour, marker=s.marker, linestyle=s.dash, linewidth=1.7, markersize=4)
      for s in styles.values()
    ]
    legend = figure.legend(
      handles,
      [f"model {i}" for i in range(len(handles))],
      loc="upper left",
      bbox_to_anchor=(0.5 / width, (legend_height + 0.02) / height),
      ncols=columns,
      borderaxespad=0,
      borderpad=0,
      handlelength=3.6,  # twice the longest dash and gap, so that dashes can be told apart
      columnspacing=1.2,
      labelspacing=0.45,
    )
    # Written afterwards, because a legend leaves out labels that begin with an underscore.
    for text, name in zip(legend.get_texts(), names, strict=True):
      text.set_text(name)
    # Letters are wider before matplotlib 3.11: what they need is taken from the left margin.
    beyond = legend.get_window_extent().x1 / figure.dpi - (width - 0.03)
    if beyond > 0:
      legend.set_bbox_to_anchor(((0.5 - beyond) / width, (legend_height + 0.02) / height))

  return size, paint_all


def _legend_lines(names: Sequence[str], columns: int) -> int:
  rows = -(-len(names) // columns)
  return sum(
    max(name.count("\n") + 1 for name in names[row::rows]) for row in range(min(rows, len(names)))
  )
