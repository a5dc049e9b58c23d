"""The section on saliency maps: where each network looks, one row per network."""

from collections.abc import Mapping

import numpy as np

from robust_saliency.drawing import saliency_panel
from robust_saliency.drawing.formatting import class_name
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section, Sheet
from robust_saliency.results.result import Result

COLUMNS = 10  # examples side by side; more make another figure


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `maps` [model, example, height, width, channel] under `images` and beside each other.

  Networks without numbers are left out.

  Args:
    result: of a saliency study; metadata "method" ("label", "signed") and "classes".
    styles: each network's colour, beside its name.

  Returns:
    A section with a panel per ten examples and one sheet of labels and predictions.
  """
  method, classes = result.metadata["method"], result.metadata["classes"]
  images, labels = result.arrays["images"], result.arrays["labels"]
  measured = np.isfinite(result.arrays["predictions"]).all(axis=-1)
  coordinates = result.layout.coordinates
  models = [name for name, here in zip(coordinates["model"], measured, strict=True) if here]
  predictions = result.arrays["predictions"][measured].astype(int)
  maps = result.arrays["maps"][measured].sum(axis=-1, dtype=np.float64)
  scales = [saliency_panel.scale(row) for row in maps]

  pictures = [
    saliency_panel.panel(
      method["label"],
      {model: styles[model] for model in models},
      [method["signed"]] * len(models),
      classes,
      images[part],
      maps[:, part],
      labels[part],
      predictions[:, part],
      scales,
      first=part.start,
    )
    for part in (slice(i, i + COLUMNS) for i in range(0, len(images), COLUMNS))
  ]
  sign = (
    "Red is positive, blue negative, white zero"
    if method["signed"]
    else "Dark is large, white zero"
  )
  return Section(
    title="Saliency maps",
    reading=(
      f"Maps of the same images for each network. Shown: {method['label']}. {sign}. Compare where "
      "the maps are strong, not how strong they are: every row has its own scale. "
      f"The networks are those of seed {coordinates['seed'][0]}."
    ),
    pictures=pictures,
    is_headline=True,
    sheets=[
      Sheet(
        "saliency",
        ["example", "label", "model", "prediction"],
        [
          [n, class_name(classes, labels[n]), model, class_name(classes, predictions[m, n])]
          for n in range(len(images))
          for m, model in enumerate(models)
        ],
      )
    ],
  )
