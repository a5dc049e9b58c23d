"""Overlap of the examples that fool each of three networks, as Venn diagrams."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import short
from robust_saliency.drawing.palette import INK, Style
from robust_saliency.drawing.section import Picture, Sheet

SIZE, TITLE, NAMES = 2.3, 0.34, 0.62  # inches: a diagram's side, what stands above it, and below
PER_ROW = 3
RADIUS, OFFSET = 1.0, 0.62  # of a circle, and of its centre from the diagram's
ANGLES = (150, 30, 270)  # of the three centres, in degrees

Regions = dict[tuple[bool, ...], int]


def regions(fooled: np.ndarray) -> Regions:
  """Examples by which of the networks they fool, those that fool none apart.

  Args:
    fooled: bool [3, N].

  >>> counts = regions(np.array([[1, 1, 0], [0, 1, 0], [0, 1, 0]], bool))
  >>> counts[True, False, False], counts[True, True, True], sum(counts.values())
  (1, 1, 2)
  """
  return {
    pattern: int((fooled == np.array(pattern)[:, None]).all(axis=0).sum())
    for pattern in product((True, False), repeat=3)
    if any(pattern)
  }


def picture(
  fooled: np.ndarray,
  sources: Sequence[str],
  targets: Sequence[str],
  styles: Mapping[str, Style],
  *,
  label: str,
  epsilon: float,
) -> Picture:
  """One diagram per source network.

  Args:
    fooled: bool [sources, 3, N], of one seed.
    sources: the networks that the examples were crafted on.
    targets: the three networks of the circles.
    styles: each model's colour.
    label: the attack's name.
    epsilon: its radius.

  Returns:
    The figure, after Ross & Doshi-Velez 2018, figure 10.
  """
  columns = min(len(sources), PER_ROW)
  rows = -(-len(sources) // columns)
  size = (columns * SIZE, rows * (SIZE + TITLE) + NAMES)
  counts = [regions(of_source) for of_source in fooled]

  def paint(figure: Figure) -> None:
    for n, (source, of_source) in enumerate(zip(sources, counts, strict=True)):
      row, column = divmod(n, columns)
      bottom = size[1] - (row + 1) * (SIZE + TITLE)
      axes = figure.add_axes(
        (column * SIZE / size[0], bottom / size[1], SIZE / size[0], SIZE / size[1])
      )
      _diagram(axes, of_source, [styles[target].colour for target in targets])
      axes.set_title(canvas.wrap(f"source: {source}", 30), loc="center", fontsize=9, pad=3)
    for n, target in enumerate(targets):
      figure.text(
        0.1 / size[0],
        (NAMES - 0.14 - 0.17 * n) / size[1],
        f"● fools {target}",
        color=styles[target].colour,
        va="center",
        fontsize=8.5,
      )

  svg, png = canvas.draw(size, paint)
  together = "; ".join(
    f"source {source}: {of_source[True, True, True]:,} of {sum(of_source.values()):,}"
    for source, of_source in zip(sources, counts, strict=True)
  )
  return Picture(
    name=f"overlap {short(epsilon)}",
    caption=(
      f"Examples of {label} at ε = {short(epsilon)}, counted by which of three networks they fool: "
      "where circles overlap, an example fools both."
    ),
    alt=f"Venn diagrams of fooled networks. All three are fooled by: {together}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
    least_width=min(canvas.css_width(size), 560),
  )


def sheet(fooled: np.ndarray, sources: Sequence[str], targets: Sequence[str]) -> Sheet:
  """The counts, a row per source network and region."""
  return Sheet(
    "overlap",
    ["source", *(f"fools {target}" for target in targets), "examples"],
    [
      [source, *pattern, count]
      for source, of_source in zip(sources, fooled, strict=True)
      for pattern, count in regions(of_source).items()
    ],
  )


def _diagram(axes: Axes, counts: Regions, colours: Sequence[str]) -> None:
  angles = np.deg2rad(ANGLES)
  centres = OFFSET * np.stack([np.cos(angles), np.sin(angles)], axis=1)
  for centre, colour in zip(centres, colours, strict=True):
    axes.add_patch(Circle(tuple(centre), RADIUS, facecolor=colour, alpha=0.16, linewidth=0))
    axes.add_patch(Circle(tuple(centre), RADIUS, fill=False, edgecolor=colour, linewidth=1.4))
  for pattern, count in counts.items():
    inside = np.array(pattern)
    if inside.all():
      place = np.zeros(2)
    else:
      direction = centres[inside].mean(axis=0)
      # Away from the third circle where two overlap, towards the rim where one is alone.
      place = direction / np.linalg.norm(direction) * (1.12 if inside.sum() == 1 else 0.72)
    axes.text(place[0], place[1], f"{count:,}", ha="center", va="center", color=INK, fontsize=8.5)
  axes.set_xlim(-1.75, 1.75)
  axes.set_ylim(-1.75, 1.75)
  axes.set_aspect("equal")
  axes.axis("off")
