"""The section on boundaries: the plane of each network, and angles."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import attack_in_words, number, with_interval
from robust_saliency.drawing.palette import COLOURS, INK
from robust_saliency.drawing.section import Headline, Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import of_networks
from robust_saliency.results.result import Result

SIDE = 2.5  # inches, of each plane
DRAWN = 400  # points of each class


def section(result: Result) -> Section:
  """Draws `margin` and `adversarial`, and tabulates `tilt` and `miss`.

  Args:
    result: of a boundary; metadata `attack`, `epsilon`, `ends` and `attacked`.

  Returns:
    A section with one picture, one table and one sheet.
  """
  known, arrays, said = result.layout.coordinates, result.arrays, result.metadata
  under = attack_in_words(said["attack"], said["epsilon"])
  models, seeds = known["model"], known["seed"]
  return Section(
    title="Decision boundaries",
    reading=(
      "Two classes of points lie on thin strips. The colours are the classes that a network "
      f"predicts; grey points are those of class {said['attacked']} after {under}, and the arrow "
      "leads from the mean of that class to theirs. A boundary that tilts lies near the "
      "points, and attacks on it lead off the strips."
    ),
    pictures=[_planes(result)],
    headlines=[
      Headline(
        "tilt of the boundary, degrees",
        {model: number(float(arrays["tilt"][m].mean())) for m, model in enumerate(models)},
      )
    ],
    is_headline=True,
    tables=[
      Table(
        caption=(
          "Tilt: the angle in degrees between the boundary’s normal and the axis along which the "
          "classes differ. Miss: how far the mean of the attacked points ends from the mean of the "
          "other class. In brackets the 95 % interval over networks."
        ),
        columns=["Network", "tilt", "miss"],
        groups=[
          RowGroup(
            [
              Row(
                model,
                [with_interval(of_networks(arrays[name][m])) for name in ("tilt", "miss")],
              )
              for m, model in enumerate(models)
            ]
          )
        ],
      )
    ],
    sheets=[
      Sheet(
        "boundary",
        ["model", "seed", "tilt", "miss", "arrow_a", "arrow_b"],
        [
          [
            model,
            seed,
            float(arrays["tilt"][m, s]),
            float(arrays["miss"][m, s]),
            *map(float, arrays["arrow"][m, s]),
          ]
          for m, model in enumerate(models)
          for s, seed in enumerate(seeds)
        ],
      )
    ],
  )


def _planes(result: Result) -> Picture:
  models, arrays = result.layout.coordinates["model"], result.arrays
  columns = min(len(models), 3)
  rows = -(-len(models) // columns)
  size = (columns * SIDE, rows * (SIDE + 0.3))
  low, high = result.metadata["ends"]
  classes = [arrays["points"][arrays["labels"] == label] for label in (0, 1)]

  def draw(axes: Axes, m: int) -> None:
    margin = arrays["margin"][m].astype(np.float64)
    places = np.linspace(low, high, margin.shape[0])
    axes.contourf(
      places, places, margin, levels=[-np.inf, 0, np.inf], colors=COLOURS[:2], alpha=0.22
    )
    axes.contour(places, places, margin, levels=[0], colors=INK, linewidths=1)
    moved = arrays["adversarial"][m][:DRAWN]
    axes.plot(moved[:, 0], moved[:, 1], ".", color="#6B7078", markersize=1.5, alpha=0.6)
    for points, colour in zip(classes, COLOURS, strict=False):
      axes.plot(points[:DRAWN, 0], points[:DRAWN, 1], ".", color=colour, markersize=1.5)
    start = classes[result.metadata["attacked"]].mean(axis=0)
    axes.annotate(
      "",
      xy=start + arrays["arrow"][m, 0],
      xytext=start,
      arrowprops={"arrowstyle": "->", "color": INK, "linewidth": 1.2},
    )
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    axes.grid(visible=False)
    axes.set_title(canvas.wrap(models[m], 24))

  def paint(figure: Figure) -> None:
    grid = figure.subplots(rows, columns, squeeze=False)
    for m, axes in enumerate(grid.flat):
      if m < len(models):
        draw(axes, m)
      else:
        axes.axis("off")
    figure.tight_layout()

  svg, png = canvas.draw(size, paint)
  angles = "; ".join(f"{one} {number(float(arrays['tilt'][m, 0]))}" for m, one in enumerate(models))
  return Picture(
    name="boundaries",
    caption="What networks of the first seed predict, their points, and where an attack leads.",
    alt=f"One plane for each network. Tilt of the boundary in degrees: {angles}.",
    svg=svg,
    png=canvas.indexed(png),
    width=canvas.css_width(size),
    inline="png",
  )
