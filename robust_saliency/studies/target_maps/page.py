"""The section on target maps: a few of them below their images, and how many values are zero."""

from collections.abc import Mapping

import numpy as np

from robust_saliency.drawing import saliency_panel
from robust_saliency.drawing.formatting import number, percent
from robust_saliency.drawing.palette import DASHES, MARKERS, QUIET, Style
from robust_saliency.drawing.section import Row, RowGroup, Section, Table
from robust_saliency.results.result import Result

COLUMNS = 10  # examples side by side; more make another figure
# Source -> what its maps are, where no attribution says so.
SOURCES = {
  "class_mean": "the mean of the class minus the image",
  "nearest_neighbour": "the nearest other image of the class minus the image",
  "edges": "the size of the image’s slope (Sobel)",
  "image": "the image itself",
}


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `maps` under `images`, and tells `zeros` and `length`.

  Args:
    result: of target maps; metadata "method" ("label", "signed"), "source", "teacher", "split",
      "images" (how many) and "classes".
    styles: each network's colour, the teacher's among them.

  Returns:
    A section with a panel per ten examples and a table with a row per seed.
  """
  about, arrays = result.metadata, result.arrays
  method, seeds = about["method"], result.layout.coordinates.get("seed", ())
  images, maps = arrays["images"], arrays["maps"].sum(axis=-1, dtype=np.float64)
  made_by = _maker(about)
  style = styles.get(about["teacher"] or "", Style(QUIET, MARKERS[0], DASHES[0]))
  pictures = [
    saliency_panel.panel(
      method["label"],
      {made_by: style},
      [method["signed"]],
      about["classes"],
      images[part],
      maps[None, part],
      arrays["labels"][part],
      None,
      [saliency_panel.scale(maps)],
      first=part.start,
    )
    for part in (slice(i, i + COLUMNS) for i in range(0, len(images), COLUMNS))
  ]
  zeros, length = np.atleast_1d(arrays["zeros"]), np.atleast_1d(arrays["length"])
  headings = [f"seed {seed}" for seed in seeds] or ["all seeds"]
  rows = [
    Row(heading, [percent(float(zeros[i])), number(float(length[i]))])
    for i, heading in enumerate(headings)
  ]
  shown = f" The maps shown are those of seed {seeds[0]}." if seeds else ""
  return Section(
    title="Target maps",
    reading=(
      f"What networks that are trained later are given for each of {about['images']:,} images of "
      f"the {about['split']} split, of {made_by}: {method['label']}. They are stored as they "
      f"come, neither normalised nor thresholded.{shown}"
    ),
    pictures=pictures,
    tables=[
      Table(
        caption="All maps of a seed: the share of zeros, and the mean ℓ₂ norm of a map.",
        columns=["Maps", "zeros, %", "length"],
        groups=[RowGroup(rows)],
      )
    ],
  )


def _maker(about: Mapping[str, str | None]) -> str:
  if about["source"] == "teacher":
    return str(about["teacher"])
  if about["source"] == "untrained":
    return f"a network like {about['teacher']}, untrained"
  return "no network"
