"""The section of a targeted study: what images become on their way to another class."""

from typing import Any

import numpy as np

from robust_saliency.drawing import canvas
from robust_saliency.drawing.formatting import percent
from robust_saliency.drawing.mosaic import Frame, mosaic
from robust_saliency.drawing.palette import COLOURS, WRONG, Style
from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.studies.result import StudyResult, array, fact

CLASSES = 10  # drawn; a grid of more is not legible
FILMS = 5  # pairs of classes whose frames are drawn
UNTOUCHED = Frame(COLOURS[0], 1.6)
MISSED = Frame(WRONG, 1.2, marked=True)


def section(result: StudyResult, styles: dict[str, Style]) -> Section:
  """Draws `adversarial` [models, examples, targets, height, width, channels], a grid per model.

  Args:
    result: a study of kind "targeted"; facts `models`, `attack` (`label`), `classes`, `seed` and
      `frames`.
    styles: each model's colour, beside its name.

  Returns:
    A section with a grid per network, a strip per network if there are frames, a table of who
    reads the targets, and two sheets.
  """
  models, attack = fact(result, "models"), fact(result, "attack")
  classes, frames = [str(name) for name in fact(result, "classes")], fact(result, "frames")
  labels = array(result, "labels", examples=None)
  examples = len(labels)
  adversarial = array(
    result,
    "adversarial",
    models=len(models),
    examples=examples,
    targets=len(classes),
    height=None,
    width=None,
    channels=None,
  )
  predictions = array(
    result,
    "predictions",
    made_for=len(models),
    tested_on=len(models),
    examples=examples,
    targets=len(classes),
  )
  reached = predictions == np.arange(len(classes))
  rates = _rates(reached, labels)
  first = np.unique(labels, return_index=True)[1][:CLASSES]
  pictures = [
    _grid(
      attack["label"],
      model,
      styles[model],
      classes,
      labels[first],
      adversarial[m, first],
      reached[m, m, first],
      rates[m, m],
    )
    for m, model in enumerate(models)
  ]
  if frames:
    films = array(
      result,
      "frames",
      models=len(models),
      framed=None,
      targets=len(classes),
      frames=len(frames),
      height=adversarial.shape[3],
      width=adversarial.shape[4],
      channels=adversarial.shape[5],
    )
    framed = labels[array(result, "framed", framed=films.shape[1])]
    pictures += [
      _strip(attack["label"], model, styles[model], classes, framed, films[m], frames)
      for m, model in enumerate(models)
    ]
  per_class = np.unique(labels, return_counts=True)[1].max()
  return Section(
    title="Targeted attacks",
    reading=(
      f"{attack['label']} leads images of every class to every other class, for each network. "
      "Where an image comes to look like its target, the network goes by what people go by; where "
      "it looks like noise on the original, it does not. Whether other networks read the target, "
      f"too, is measured on {per_class} images of each class. "
      f"The networks are those of seed {fact(result, 'seed')}."
    ),
    pictures=pictures,
    tables=[_table(models, rates)],
    sheets=[
      _rates_sheet(attack, models, rates, examples),
      _images_sheet(result, models, classes, predictions),
    ],
  )


def _rates(reached: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """The share of images read as their target, [made for, tested on], without untouched ones."""
  is_led = labels[:, None] != np.arange(reached.shape[-1])
  return reached[:, :, is_led].mean(axis=-1)


def _grid(
  attack: str,
  model: str,
  style: Style,
  classes: list[str],
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
      "its way to another. Blue outlines: untouched images. Red outlines with a corner: the "
      f"network does not read the target.{part}"
    ),
    alt=(
      f"Grid of images that {attack} made for {model}, {len(labels)} classes by {shown} targets. "
      f"Of all such images {percent(rate)} % are read as their target by {model} itself."
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
  classes: list[str],
  labels: np.ndarray,
  films: np.ndarray,
  steps: list[int],
) -> Picture:
  """One network's images step by step, each on its way to the next class."""
  chosen = labels[:FILMS]
  following = (chosen + 1) % len(classes)
  size, svg, png = mosaic(
    films[np.arange(len(chosen)), following],
    [f"{classes[a]} → {classes[b]}" for a, b in zip(chosen, following, strict=True)],
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


def _table(models: list[str], rates: np.ndarray) -> Table:
  several = len(models) > 1

  def cells(m: int) -> list[str]:
    others = np.delete(rates[m], m)
    return [*map(percent, rates[m]), *([percent(others.mean())] if several else [])]

  return Table(
    caption=(
      "Share of the images made for the row’s network that the column’s reads as their target, in "
      "per cent; untouched images do not count."
    ),
    columns=["Made for", *models, *(["mean of the others"] if several else [])],
    groups=[RowGroup([Row(model, cells(m)) for m, model in enumerate(models)])],
  )


def _rates_sheet(
  attack: dict[str, Any], models: list[str], rates: np.ndarray, examples: int
) -> Sheet:
  return Sheet(
    "targeted",
    ["attack", "made_for", "tested_on", "target_rate", "originals"],
    [
      [attack["name"], made_for, tested_on, float(rates[i, j]), examples]
      for i, made_for in enumerate(models)
      for j, tested_on in enumerate(models)
    ],
  )


def _images_sheet(
  result: StudyResult, models: list[str], classes: list[str], predictions: np.ndarray
) -> Sheet:
  labels = result.arrays["labels"]
  positions = array(result, "positions", examples=len(labels))
  return Sheet(
    "targeted images",
    ["made_for", "position", "label", "target", *(f"read by {model}" for model in models)],
    [
      [
        model,
        int(positions[n]),
        classes[label],
        classes[target],
        *(classes[predictions[m, reader, n, target]] for reader in range(len(models))),
      ]
      for m, model in enumerate(models)
      for n, label in enumerate(labels)
      for target in range(len(classes))
    ],
  )
