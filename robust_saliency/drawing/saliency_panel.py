"""Saliency maps below the images that they are of, one row per network or method."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import class_name
from robust_saliency.drawing.palette import QUIET, RULE, WRONG, Style
from robust_saliency.drawing.section import Picture

PERCENTILE = 99.5
SIGNED_MAP, UNSIGNED_MAP = "RdBu_r", "Greys"

# The panel's measures, in inches.
TILE, GAP, MARGIN, BAR = 0.92, 0.08, 0.08, 0.75
HEADING, FOOTER = 0.3, 0.24


def panel(
  label: str,
  styles: Mapping[str, Style],
  signed: Sequence[bool],
  classes: Sequence[str],
  images: np.ndarray,
  maps: np.ndarray,
  labels: np.ndarray,
  predictions: np.ndarray,
  scales: Sequence[float],
  *,
  first: int = 0,
) -> Picture:
  """Draws images and, below them, one row of maps for each model or method.

  Args:
    label: what the maps are, for the caption.
    styles: the rows' names and colours, in their order.
    signed: for each row, whether its maps have a sign: diverging or sequential colours.
    classes: the classes' names.
    images: [N, H, W, C] in [0, 1].
    maps: [rows, N, H, W].
    labels: [N].
    predictions: [rows, N].
    scales: for each row the size at which colours saturate, see `scale`.
    first: the first image's position among all, for the picture's name.

  Returns:
    The picture.
  """
  examples = len(images)
  tile_height = TILE * images.shape[1] / images.shape[2]
  row_height = HEADING + tile_height + FOOTER
  size = (
    2 * MARGIN + max(examples, 4) * (TILE + GAP) + BAR,
    MARGIN + (len(styles) + 1) * row_height,
  )
  colour_maps = [
    colormaps[SIGNED_MAP if has_sign else UNSIGNED_MAP].with_extremes(bad=RULE)
    for has_sign in signed
  ]

  def paint(figure: Figure) -> None:
    def axes_at(column: float, row: int, width: float = TILE) -> Axes:
      left = MARGIN + column * (TILE + GAP)
      bottom = size[1] - MARGIN - row * row_height - HEADING - tile_height
      axes = figure.add_axes(
        (left / size[0], bottom / size[1], width / size[0], tile_height / size[1])
      )
      axes.grid(False)
      return axes

    def heading(row: int, text: str, style: Style | None = None) -> None:
      y = 1 - (MARGIN + row * row_height + HEADING - 0.1) / size[1]
      x = MARGIN / size[0]
      if style is not None:
        figure.text(x, y, "■", color=style.colour, fontsize=10, va="baseline")
        x += 0.17 / size[0]
      figure.text(x, y, text, fontsize=9, fontweight="bold", va="baseline")

    heading(0, "Images, with their labels")
    for n in range(examples):
      axes = axes_at(n, 0)
      show_image(axes, images[n])
      _finish_tile(axes, class_name(classes, labels[n]), QUIET, RULE, 0.7)
    for m, (model, style) in enumerate(styles.items()):
      heading(m + 1, model, style)
      limits = Normalize(-scales[m] if signed[m] else 0, scales[m])
      for n in range(examples):
        axes = axes_at(n, m + 1)
        axes.imshow(
          maps[m, n], cmap=colour_maps[m], norm=limits, interpolation="none", aspect="auto"
        )
        predicted = class_name(classes, predictions[m, n])
        if predictions[m, n] == labels[n]:
          _finish_tile(axes, predicted, QUIET, RULE, 0.7)
        else:
          _finish_tile(axes, f"✗ {predicted}", WRONG, WRONG, 1.6)
      bar = axes_at(examples, m + 1, width=0.09)
      figure.colorbar(ScalarMappable(limits, colour_maps[m]), cax=bar)
      ticks = [-scales[m], 0, scales[m]] if signed[m] else [0, scales[m]]
      bar.set_yticks(ticks, [_tick(tick) for tick in ticks])
      bar.tick_params(length=2, labelsize=7)
      bar.spines[:].set_linewidth(0.5)

  svg, png = canvas.draw(size, paint)
  wrong = [
    f"{model} {int((predictions[m] != labels).sum())} of {examples}"
    for m, model in enumerate(styles)
  ]
  broken = int((~np.isfinite(maps)).sum())
  caption = (
    f"Shown: {label}. Maps are summed over the channels. Under each map the network’s prediction; "
    "✗ and a red frame mark a wrong one. Within a row all maps share one scale, clipped at the "
    f"{PERCENTILE:g}th percentile of their sizes"
    f"{', symmetric about 0' if all(signed) else ''}."
  )
  if broken:
    caption += f" {broken:,} values were not finite and are grey."
  return Picture(
    name=f"examples {first + 1} to {first + examples}",
    caption=caption,
    alt=(
      f"Panel of maps: {examples} images in the first row, below it one row of maps for each of "
      f"{', '.join(styles)}. Shown: {label}. Wrong predictions: {'; '.join(wrong)}."
    ),
    svg=svg,
    png=png,
    width=canvas.css_width(size),
    inline="png",
    least_width=round(0.62 * canvas.css_width(size)),
  )


def show_image(axes: Axes, image: np.ndarray) -> None:
  """Draws one image [H, W, C] in [0, 1]; other than three channels become grey."""
  if image.shape[-1] == 3:
    axes.imshow(np.clip(image, 0, 1), interpolation="none", aspect="auto")
  else:
    grey = image.mean(axis=-1)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="none", aspect="auto")


def _finish_tile(axes: Axes, below: str, ink: str, frame: str, line_width: float) -> None:
  axes.set_xticks([])
  axes.set_yticks([])
  axes.spines[:].set_visible(True)
  axes.spines[:].set_color(frame)
  axes.spines[:].set_linewidth(line_width)
  text = below if len(below) <= 13 else f"{below[:12]}…"
  axes.set_xlabel(text, color=ink, fontsize=8, labelpad=3)


def scale(maps: np.ndarray, percentile: float = PERCENTILE) -> float:
  """The size at which a row's colours saturate; 1 where every map is zero."""
  sizes = np.abs(maps[np.isfinite(maps)])
  clipped = float(np.percentile(sizes, percentile)) if sizes.size else 0.0
  return clipped or float(sizes.max(initial=0.0)) or 1.0


def _tick(value: float) -> str:
  return f"{value:.2g}".replace("-", "−")
