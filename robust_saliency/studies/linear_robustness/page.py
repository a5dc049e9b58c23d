"""The section on linearised robustness: how far attacks lie, beside what gradients promise."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from robust_saliency.drawing import boxes, canvas
from robust_saliency.drawing.formatting import norm, number
from robust_saliency.drawing.palette import QUIET, Style
from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results.result import Result

ARRAYS = ("margin", "linear", "distance", "ratio")


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `ratio` [model, seed, example], and tabulates medians.

  Args:
    result: of linearised robustness; metadata `norm` and `attack`.
    styles: how each network is drawn.

  Returns:
    A section with a figure of boxes, a table and a sheet.
  """
  known, arrays = result.layout.coordinates, result.arrays
  models, seeds = known["model"], known["seed"]
  measure = norm(result.metadata["norm"])
  chosen = {model: styles[model] for model in models}
  correlation = arrays["rank_correlation"]
  return Section(
    title="Linearised robustness",
    reading=(
      f"How far the boundary would lie in {measure} if the network were linear around an image, "
      "the margin over the dual norm of its gradient; and how far the nearest image lies that "
      f"{result.metadata['attack']} finds. Where their ratio is 1, small gradients are all there "
      "is to robustness; below 1 the network is more vulnerable than its gradient shows. Only "
      "images that are classified correctly count."
    ),
    pictures=[_ratios(arrays["ratio"].reshape(len(models), -1), chosen)],
    tables=[
      Table(
        caption=(
          "Medians over images and networks; Spearman’s correlation of both distances over images, "
          "the mean over networks."
        ),
        columns=["Network", "margin", "linear distance", "attack’s distance", "ratio", "Spearman"],
        groups=[
          RowGroup(
            [
              Row(
                model,
                [
                  *(_median(arrays[name][m], arrays["ratio"][m]) for name in ARRAYS),
                  number(float(np.mean(correlation[m]))),
                ],
              )
              for m, model in enumerate(models)
            ]
          )
        ],
      )
    ],
    sheets=[
      Sheet(
        "linear_robustness",
        ["model", "seed", "example", *ARRAYS],
        [
          [model, seed, example, *(float(arrays[name][m, s, example]) for name in ARRAYS)]
          for m, model in enumerate(models)
          for s, seed in enumerate(seeds)
          for example in range(arrays["margin"].shape[-1])
        ],
      )
    ],
  )


def _median(values: np.ndarray, ratio: np.ndarray) -> str:
  counted = np.asarray(values, np.float64)[np.isfinite(ratio)]
  return number(float(np.median(counted)) if counted.size else np.nan)


def _ratios(ratios: np.ndarray, styles: dict[str, Style]) -> Picture:
  finite = [of_model[np.isfinite(of_model)].astype(np.float64) for of_model in ratios]
  ends = [np.percentile(of_model, boxes.WHISKERS) for of_model in finite if len(of_model)]

  def paint(axes: Axes) -> None:
    axes.set_xlim(0, max([1.25, *(1.05 * float(high) for _, high in ends)]))
    axes.axvline(1, color=QUIET, linewidth=0.8)

  size, svg, png = boxes.draw(
    finite, styles, paint, title="Distance over linear distance", axis="1: as if it were linear"
  )
  return Picture(
    name="distance over linear distance",
    caption=f"The attack’s distance over the linear one, image by image. {boxes.LEGEND}.",
    alt=f"Box plot of distance over linear distance. Medians: {boxes.medians(finite, styles)}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )
