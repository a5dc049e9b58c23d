"""The section on targeted attacks: what images become on their way to another class."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import class_name, percent
from robust_saliency.drawing.mosaic import Frame, mosaic
from robust_saliency.drawing.palette import COLOURS, WRONG, Style
from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results.result import Result

CLASSES = 10  # drawn; a grid of more is not legible
FILMS = 5  # pairs of classes whose frames are drawn
UNTOUCHED = Frame(COLOURS[0], 1.6)
MISSED = Frame(WRONG, 1.2, marked=True)


def section(result: Result, styles: Mapping[str, Style]) -> Section:
  """Draws `adversarial` [model, example, class, height, width, channel], a grid per network.

  Networks without numbers have no pictures.

  Args:
    result: of a targeted study; metadata "attack" ("name", "label").
    styles: each network's colour, beside its name.

  Returns:
    A section with a grid per network, a strip per network if there are frames, a table of the
    target rates, and two sheets.
  """
  coordinates, attack = result.layout.coordinates, result.metadata["attack"]
  models, classes = coordinates["model"], coordinates["class"]
  readers, labels = coordinates["reader"], result.arrays["labels"]
  predictions = result.arrays["predictions"][:, :, 0]
  measured = {m: model for m, model in enumerate(models) if np.isfinite(predictions[m, m]).all()}
  reached = predictions == np.arange(len(classes))
  rates = result.arrays["target_rate"].mean(axis=(-2, -1))
  first = _pictured(labels)[:CLASSES]
  drawn = only_drawn(result).arrays
  pictures = [
    _grid(
      attack["label"],
      model,
      styles[model],
      classes,
      labels[first],
      drawn["adversarial"][m, :CLASSES].astype(np.uint8),
      reached[m, m, first],
      rates[m, m],
    )
    for m, model in measured.items()
  ]
  if "frame" in coordinates:
    framed = labels[drawn["framed"]]
    pictures += [
      _strip(
        attack["label"],
        model,
        styles[model],
        classes,
        framed,
        drawn["frames"][m].astype(np.uint8),
        coordinates["frame"],
      )
      for m, model in measured.items()
    ]
  seeds = coordinates["seed"]
  over = f", of the networks of {len(seeds)} seeds" if len(seeds) > 1 else ""
  per_class = np.unique(labels, return_counts=True)[1].max()
  return Section(
    title="Targeted attacks: from every class to every other class",
    reading=(
      f"{attack['label']}, targeted from every class to every other class, on each network. "
      "Where an image comes to look like its target, the network goes by what people go by; where "
      "it looks like noise on the original, it does not. Who else reads the target, other networks "
      "and two readers from outside that were fitted to the training images, is measured on "
      f"{per_class} images of each class{over}. The pictures are of seed {seeds[0]}."
    ),
    pictures=pictures,
    tables=[_table(models, readers, rates)],
    sheets=[
      _rates_sheet(attack, models, readers, rates, len(labels)),
      _images_sheet(result, predictions, measured, classes),
    ],
  )


def only_drawn(result: Result) -> Result:
  """A result without the images and frames that its page does not show."""
  axes, arrays = dict(result.layout.axes), dict(result.arrays)
  if axes["adversarial"][1] == "example":
    arrays["adversarial"] = arrays["adversarial"][:, _pictured(arrays["labels"])]
    axes["adversarial"] = ("model", "pictured", *axes["adversarial"][2:])
  if "frames" in axes and axes["frames"][2] == "class":
    arrays["framed"] = arrays["framed"][:FILMS]
    following = _following(arrays["labels"][arrays["framed"]], arrays["frames"].shape[2])
    arrays["frames"] = arrays["frames"][:, np.arange(len(following)), following]
    axes["frames"] = (*axes["frames"][:2], *axes["frames"][3:])
  layout = dataclasses.replace(result.layout, axes=axes)
  return dataclasses.replace(result, layout=layout, arrays=arrays)


def in_few_greys(result: Result) -> Result:
  """A result whose images have 16 greys, which a page of that many colours shows as well."""
  greys = {
    name: (np.rint(result.arrays[name] / 17.0) * 17).astype(result.arrays[name].dtype)
    for name in ("adversarial", "frames")
    if name in result.arrays
  }
  return dataclasses.replace(result, arrays={**result.arrays, **greys})


def _pictured(labels: np.ndarray) -> np.ndarray:
  # The first image of each class.
  return np.unique(labels, return_index=True)[1]


def _following(labels: np.ndarray, classes: int) -> np.ndarray:
  return (labels + 1) % classes


def _grid(
  attack: str,
  model: str,
  style: Style,
  classes: Sequence[str],
  labels: np.ndarray,
  tiles: np.ndarray,
  reached: np.ndarray,
  rate: float,
) -> Picture:
  """One network's images: a row per class, a column per target."""
  shown = min(len(classes), CLASSES)
  frames = {
    (row, target): UNTOUCHED if label == target else Frame() if reached[row, target] else MISSED
    for row, label in enumerate(labels)
    for target in range(shown)
  }
  size, svg, png = mosaic(
    tiles[:, :shown],
    [classes[label] for label in labels],
    classes[:shown],
    title=model,
    style=style,
    row_heading="image",
    column_heading="target",
    frames=frames,
  )
  part = "" if shown == len(classes) else f" The first {shown} of {len(classes)} classes are shown."
  return Picture(
    name=f"{model} grid",
    caption=(
      f"{attack} on {model}: a row holds the first image of a class, a column what it became on "
      "its way to another. Blue outlines: clean images. Red outlines with a corner: the "
      f"network does not predict the target.{part}"
    ),
    alt=(
      f"Grid of images that {attack} crafted on {model}, {len(labels)} classes by {shown} targets. "
      f"Of all such images {percent(rate)} % are classified as their target by {model} itself."
    ),
    svg=svg,
    png=png,
    width=canvas.css_width(size),
    inline="png",
  )


def _strip(
  attack: str,
  model: str,
  style: Style,
  classes: Sequence[str],
  labels: np.ndarray,
  films: np.ndarray,
  steps: Sequence[int],
) -> Picture:
  """One network's images step by step, each on its way to the next class."""
  following = _following(labels, len(classes))
  size, svg, png = mosaic(
    films,
    [f"{classes[a]} → {classes[b]}" for a, b in zip(labels, following, strict=True)],
    [str(step) for step in steps],
    title=model,
    style=style,
    column_heading="steps",
  )
  return Picture(
    name=f"{model} steps",
    caption=f"{attack} on {model} after the numbers of steps above the columns.",
    alt=(
      f"Strips of images under {attack} on {model}, from {steps[0]} to {steps[-1]} steps, each "
      "towards the class after its own."
    ),
    svg=svg,
    png=png,
    width=canvas.css_width(size),
    inline="png",
  )


def _table(models: Sequence[str], readers: Sequence[str], rates: np.ndarray) -> Table:
  return Table(
    caption=(
      "Share of the images crafted on the row’s network that the column’s classifies as their "
      "target, in per cent; clean images do not count."
    ),
    columns=["Attacked network", *readers],
    groups=[
      RowGroup([Row(model, [percent(rate) for rate in rates[m]]) for m, model in enumerate(models)])
    ],
  )


def _rates_sheet(
  attack: Mapping[str, Any],
  models: Sequence[str],
  readers: Sequence[str],
  rates: np.ndarray,
  originals: int,
) -> Sheet:
  return Sheet(
    "targeted",
    ["attack", "model", "reader", "target_rate", "originals"],
    [
      [attack["name"], model, reader, float(rates[m, r]), originals]
      for m, model in enumerate(models)
      for r, reader in enumerate(readers)
    ],
  )


def _images_sheet(
  result: Result, predictions: np.ndarray, measured: Mapping[int, str], classes: Sequence[str]
) -> Sheet:
  """A row per image of the networks that have numbers."""
  positions, readers = result.arrays["positions"], result.layout.coordinates["reader"]
  return Sheet(
    "targeted images",
    ["model", "position", "label", "target", *(f"read by {reader}" for reader in readers)],
    [
      [
        model,
        int(positions[n]),
        classes[label],
        classes[target],
        *(class_name(classes, predictions[m, r, n, target]) for r in range(len(readers))),
      ]
      for m, model in measured.items()
      for n, label in enumerate(result.arrays["labels"])
      for target in range(len(classes))
    ],
  )
