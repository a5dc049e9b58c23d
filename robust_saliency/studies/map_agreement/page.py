"""The section on agreement with other networks' maps: a table per reference."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from robust_saliency.drawing import boxes, canvas
from robust_saliency.drawing.formatting import number
from robust_saliency.drawing.palette import QUIET, Style
from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results.result import Result


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `cosine` on test images, and tabulates it and `gradient_norm` of both splits.

  Args:
    result: of map agreement; metadata `label`.
    styles: how each network is drawn.

  Returns:
    A section with a figure of boxes per reference, a table and a sheet.
  """
  known, label = result.layout.coordinates, result.metadata["label"]
  splits, references, models, seeds = (
    known[axis] for axis in ("split", "reference", "model", "seed")
  )
  cosines, norms = result.arrays["cosine"], result.arrays["gradient_norm"]
  chosen = {model: styles[model] for model in models}
  return Section(
    title="Agreement with other networks’ maps",
    reading=(
      f"Cosines between a network’s gradient of the true class’s logit and {label} of the same "
      f"seed’s {' and '.join(references)}, on {cosines.shape[-1]:,} training and as many test "
      "images, in evaluation mode: 1 where they point the same way, 0 where they have nothing to "
      "do with each other. Beside them the gradients’ mean norms (ℓ₂)."
    ),
    pictures=[
      _boxes(reference, result.at("cosine", split="test", reference=reference), chosen)
      for reference in references
    ],
    tables=[
      Table(
        caption="Mean cosines and norms over images and networks.",
        columns=[
          "Network",
          *(f"with {reference}, {split}" for reference in references for split in splits),
          *(f"norm, {split}" for split in splits),
        ],
        groups=[
          RowGroup(
            [
              Row(
                model,
                [
                  *(
                    _mean(of_split[m]) for r in range(len(references)) for of_split in cosines[:, r]
                  ),
                  *(_mean(of_split[m]) for of_split in norms),
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
        "map_agreement",
        ["split", "model", "seed", "example", *references, "gradient_norm"],
        [
          [split, model, seed, example, *map(float, cosines[p, :, m, s, example]), float(norm)]
          for p, split in enumerate(splits)
          for m, model in enumerate(models)
          for s, seed in enumerate(seeds)
          for example, norm in enumerate(norms[p, m, s])
        ],
      )
    ],
  )


def _mean(values: np.ndarray) -> str:
  finite = np.asarray(values, np.float64)[np.isfinite(values)]
  return number(float(finite.mean()) if finite.size else np.nan)


def _boxes(reference: str, cosines: np.ndarray, styles: dict[str, Style]) -> Picture:
  finite = [of_model[np.isfinite(of_model)].astype(np.float64) for of_model in cosines]

  def paint(axes: Axes) -> None:
    lowest = min(
      (float(np.percentile(one, boxes.WHISKERS[0])) for one in finite if len(one)), default=0
    )
    axes.set_xlim(min(lowest, 0) - 0.02, 1)
    axes.axvline(0, color=QUIET, linewidth=0.8)

  size, svg, png = boxes.draw(
    finite, styles, paint, title=f"Agreement with {reference}", axis="cosine, test images"
  )
  return Picture(
    name=f"agreement with {reference}",
    caption=f"Cosines with the maps of {reference} on test images. {boxes.LEGEND}.",
    alt=f"Box plot of cosines with {reference}. Medians: {boxes.medians(finite, styles)}.",
    svg=svg,
    png=png,
    width=canvas.css_width(size),
  )
