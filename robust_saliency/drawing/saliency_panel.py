"""Saliency maps below the images that they are of, one row per network or method."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import class_name
from robust_saliency.drawing.palette import RULE, Style
from robust_saliency.drawing.section import Picture
from robust_saliency.drawing.tile_grid import TileGrid, show_image

PERCENTILE = 99.5
SIGNED_MAP, UNSIGNED_MAP = "RdBu_r", "Greys"


def panel(
  label: str,
  styles: Mapping[str, Style],
  signed: Sequence[bool],
  classes: Sequence[str],
  images: np.ndarray,
  maps: np.ndarray,
  labels: np.ndarray,
  predictions: np.ndarray | None,
  scales: Sequence[float],
  *,
  first: int = 0,
  above: str = "Images, with their labels",
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
    predictions: [rows, N]; None for maps that tell of no network's decision.
    scales: for each row the size at which colours saturate, see `scale`.
    first: the first image's position among all, for the picture's name.
    above: what is written above the images.

  Returns:
    The picture.
  """
  examples, rows, shape = len(images), len(styles) + 1, images.shape[1:3]
  size = TileGrid.size(examples, rows, shape)

  def paint(figure: Figure) -> None:
    grid = TileGrid(figure, examples, rows, shape)
    grid.heading(0, above)
    for n in range(examples):
      show_image(grid.tile(n, 0, class_name(classes, labels[n])), images[n])
    for m, (model, style) in enumerate(styles.items()):
      grid.heading(m + 1, model, style)
      limits = Normalize(-scales[m] if signed[m] else 0, scales[m])
      colour_map = colormaps[SIGNED_MAP if signed[m] else UNSIGNED_MAP].with_extremes(bad=RULE)
      for n in range(examples):
        axes = (
          grid.tile(n, m + 1)
          if predictions is None
          else grid.tile(
            n,
            m + 1,
            class_name(classes, predictions[m, n]),
            right=predictions[m, n] == labels[n],
          )
        )
        axes.imshow(maps[m, n], cmap=colour_map, norm=limits, interpolation="none", aspect="auto")
      grid.bar(m + 1, ScalarMappable(limits, colour_map))

  svg, png = canvas.draw(size, paint)
  wrong = decisions = ""
  if predictions is not None:
    counts = [
      f"{model} {int((predictions[m] != labels).sum())} of {examples}"
      for m, model in enumerate(styles)
    ]
    wrong = f" Wrong predictions: {'; '.join(counts)}."
    decisions = " Under each map the network’s prediction; ✗ and a red frame mark a wrong one."
  broken = int((~np.isfinite(maps)).sum())
  caption = (
    f"Shown: {label}. Maps are summed over the channels.{decisions} Within a row all maps share "
    f"one scale, clipped at the {PERCENTILE:g}th percentile of their sizes"
    f"{', symmetric about 0' if all(signed) else ''}."
  )
  if broken:
    caption += f" {broken:,} values were not finite and are grey."
  return Picture(
    name=f"examples {first + 1} to {first + examples}",
    caption=caption,
    alt=(
      f"Panel of maps: {examples} images in the first row, below it one row of maps for each of "
      f"{', '.join(styles)}. Shown: {label}.{wrong}"
    ),
    svg=svg,
    png=png,
    width=canvas.css_width(size),
    inline="png",
    least_width=round(0.62 * canvas.css_width(size)),
  )


def scale(maps: np.ndarray, percentile: float = PERCENTILE) -> float:
  """The size at which a row's colours saturate; 1 where every map is zero."""
  sizes = np.abs(maps[np.isfinite(maps)])
  clipped = float(np.percentile(sizes, percentile)) if sizes.size else 0.0
  return clipped or float(sizes.max(initial=0.0)) or 1.0
