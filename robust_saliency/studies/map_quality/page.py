"""The section on statistics of maps: how rough, sparse and image-like each network's are."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from robust_saliency.drawing import boxes, canvas
from robust_saliency.drawing.formatting import number, percent
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import (
  Headline,
  Picture,
  Row,
  RowGroup,
  Section,
  Sheet,
  Table,
)
from robust_saliency.results.result import Result

# Statistic -> its title, and what its values mean.
TITLES = {
  "total_variation": "Roughness (total variation)",
  "gini": "Sparsity (Gini index)",
  "alignment": "Alignment with the image",
}
# What the page's first table shows, as medians.
HEADLINES = ("alignment", "total_variation")
AXES = {
  "total_variation": "0: constant; about 2.8: white noise",
  "gini": "0: all pixels alike; 1: one pixel alone",
  "alignment": "0: nothing in common; 1: the image itself",
}


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `total_variation`, `gini` and `alignment`, each [model, seed, example].

  Args:
    result: of a map quality study; metadata "method" ("label").
    styles: how each network is drawn.

  Returns:
    A section with a figure of boxes per statistic, a table and a sheet.
  """
  models, seeds = result.layout.coordinates["model"], result.layout.coordinates["seed"]
  is_zero, method = result.arrays["is_zero"], result.metadata["method"]
  values = {name: result.arrays[name] for name in TITLES}
  over = f" of {len(seeds)} seeds" if len(seeds) > 1 else ""
  chosen = {model: styles[model] for model in models}
  return Section(
    title="Saliency-map statistics",
    reading=(
      f"Three statistics of the maps of {is_zero.shape[-1]:,} images{over}, none of which depends "
      "on how strong a map is: how much neighbouring pixels differ, how few pixels carry the map, "
      "and how like the image it is. A map that is exactly zero has none. The maps: "
      f"{method['label']}."
    ),
    pictures=[_boxes(name, _defined(values[name]), chosen) for name in TITLES],
    tables=[
      Table(
        caption="Medians, with the quartiles in brackets, and the share of maps that are zero.",
        columns=["Network", *TITLES.values(), "zero, %"],
        groups=[
          RowGroup(
            [
              Row(
                model,
                [
                  *(_median(_defined(values[name])[m]) for name in TITLES),
                  percent(float(is_zero[m].mean())),
                ],
              )
              for m, model in enumerate(models)
            ]
          )
        ],
      )
    ],
    headlines=[
      Headline(
        TITLES[name],
        {
          model: number(float(np.median(of_model)) if len(of_model) else np.nan)
          for model, of_model in zip(models, _defined(values[name]), strict=True)
        },
      )
      for name in HEADLINES
    ],
    sheets=[
      Sheet(
        "map_quality",
        ["model", "seed", "example", *TITLES, "is_zero"],
        [
          [
            model,
            seed,
            example,
            *(float(values[name][m, s, example]) for name in TITLES),
            _truth(is_zero[m, s, example]),
          ]
          for m, model in enumerate(models)
          for s, seed in enumerate(seeds)
          for example in range(is_zero.shape[-1])
        ],
      )
    ],
  )


def _truth(value: float) -> bool | float:
  """NaN where the network has no numbers."""
  return value if math.isnan(value) else bool(value)


def _defined(values: np.ndarray) -> list[np.ndarray]:
  """The values of each network's maps that have one."""
  return [of_model[np.isfinite(of_model)].astype(np.float64) for of_model in values]


def _median(values: np.ndarray) -> str:
  if not len(values):
    return number(np.nan)
  low, high = np.percentile(values, boxes.QUARTILES)
  return f"{number(float(np.median(values)))} ({number(float(low))} to {number(float(high))})"


def _boxes(name: str, values: list[np.ndarray], styles: dict[str, Style]) -> Picture:
  """One box per network; none where all its maps are zero."""
  ends = [np.percentile(of_model, boxes.WHISKERS) for of_model in values if len(of_model)]
  lowest, highest = (float(np.min(ends)), float(np.max(ends))) if ends else (0.0, 1.0)
  pad = 0.06 * (highest - lowest) or 0.1

  def paint(axes: Axes) -> None:
    axes.set_xlim(lowest - pad, highest + pad)

  size, svg, png = boxes.draw(values, styles, paint, title=TITLES[name], axis=AXES[name])
  return Picture(
    name=name.replace("_", " "),
    caption=f"{TITLES[name]}. {boxes.LEGEND}.",
    alt=f"Box plot, {TITLES[name].lower()}. Medians: {boxes.medians(values, styles)}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )
