"""A targeted attack on the same images for each network, and whether its examples transfer.

The result is also the pool of a study with people in the manner of Ross & Doshi-Velez 2018: with
`per_class` 5 and ten classes, 45 images (5 originals x 9 targets) for each digit and network. An
image's metadata are its place in the arrays (network, original, target), the original's label and
position in the test split, and its success flag `predictions[m, m, n, k] == targets[k]`.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import flax.linen as nn
import numpy as np
from jax import Array

from robust_saliency.core import Bounds
from robust_saliency.core.settings import Count, CountOrZero, Distinct
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import (
  Evaluator,
  Networks,
  key_for,
  positions_of_each_class,
  predict,
)
from robust_saliency.studies.methods import describe_attack
from robust_saliency.studies.study import Measured, Study
from robust_saliency.studies.targeted import page
from robust_saliency.studies.targeted.aimed import aimed
from robust_saliency.studies.targeted.reading import stroke_size, target_rate

OTHERS = "others"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Targeted(Study):
  """The first test images of each class, targeted at every other, on the first seed's networks.

  JSMA dominates the cost: with gamma 0.25 on 28x28 images and the network of Ross & Doshi-Velez
  an image takes about 0.2 s of a CPU core, so the 450 of one network a minute and a half. The
  iterated TGSM takes seconds.

  Attributes:
    attack: the config of an attack that can be aimed ("jsma", "tgsm", "pgd", ...), all its
      settings but the target; "label" is what the report calls it. With several steps "tgsm" is
      the iterated one.
    per_class: images of each class.
    batch_size: pairs of an image and a target per call. Those of one class and one target lie
      together, since JSMA goes on until the last of a batch has reached its target.
    frames: after how many steps of "tgsm" the images are also kept, ascending from 0 or more;
      None for none. Of the first image of each class.

  Arrays, model the source network, reader the target network that classifies them, class the
  target; where that is the image's label, the clean image:
    target_rate: the share of an original's images that are classified as their target, clean
      ones left out, float64 [model, reader, seed, example]. The reader "others" is the mean over
      all networks but the model: it is high where the examples transfer to other networks, and
      nears 1 for any network where nothing holds the image near its start (15 steps of 0.1 on
      MNIST), so that networks are better told apart by fewer steps.
    stroke_size: the pixels of a mean group of changed ones that touch, diagonally too, the mean
      over an original's targets, float64 [model, seed, example]. Strokes are few large groups,
      scattered pixels many small ones.
    predictions: of the images before they are rounded, int [source, target, example, class]: made
      for a source model, classified by a target model.
    adversarial: uint8 [model, example, class, height, width, channel], 0 to 255 from the lower to
      the upper bound.
    images: the originals, uint8 [example, height, width, channel].
    labels, positions: theirs, and where they stand in the test split, int [example].
    targets: 0 to K - 1 [class].
    frames: uint8 [model, framed, class, frame, height, width, channel], only if asked for.
    framed: the examples that they show, int [framed].

  Source: Ross & Doshi-Velez 2018, figures 5 and 11, and the human-subject study. They judge both
  figures by eye; other networks and the size of strokes are asked instead.
  """

  kind: ClassVar[str] = "targeted"
  shows_images: ClassVar[bool] = True

  attack: Mapping[str, Any]
  per_class: Count = 5
  batch_size: Count = 100
  frames: Annotated[tuple[CountOrZero, ...], Distinct()] | None = None

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`; its only seed is the first."""
    pixels = ("height", "width", "channel")
    axes = {
      "target_rate": ("model", "reader", "seed", "example"),
      "stroke_size": ("model", "seed", "example"),
      "predictions": ("source", "target", "example", "class"),
      "adversarial": ("model", "example", "class", *pixels),
      "images": ("example", *pixels),
      "labels": ("example",),
      "positions": ("example",),
      "targets": ("class",),
    }
    coordinates: dict[str, tuple[Any, ...]] = {
      "model": networks,
      "reader": (*networks, OTHERS) if len(networks) > 1 else networks,
      "source": networks,
      "target": networks,
      "seed": seeds[:1],
      "class": tuple(dataset.classes),
    }
    if self.frames is not None:
      axes |= {"frames": ("model", "framed", "class", "frame", *pixels), "framed": ("framed",)}
      coordinates["frame"] = self.frames
    return Layout(
      axes,
      coordinates,
      images_each={"target_rate": len(dataset.classes) - 1},
      units={"target_rate": "originals", "stroke_size": "originals"},
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    return {"attack": aimed(dataset, self.attack, self.frames)}

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    super().check(modules, dataset)
    if OTHERS in modules:
      raise ValueError(
        f"models of a targeted study must have names other than {OTHERS!r}, which stands for all "
        f"but one; got {', '.join(modules)}"
      )

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    classes, targets = len(dataset.classes), np.arange(len(dataset.classes))
    positions = positions_of_each_class(dataset.test, classes, self.per_class)
    chosen = dataset.test.take(positions)
    x, labels = dataset.to_float(chosen.x), chosen.y
    shown = list(self.frames or ())

    image_of, target_of = np.nonzero(labels[:, None] != targets)
    order = np.lexsort((image_of, target_of, labels[image_of]))
    image_of, target_of = image_of[order], target_of[order]
    framed = np.unique(labels, return_index=True)[1]

    lead = Evaluator(aimed(dataset, self.attack, self.frames), batch_size=self.batch_size)
    read = Evaluator(predict, batch_size=self.batch_size)
    study_key = key_for(key, "targeted")
    first_seed = [of_seeds[0] for of_seeds in networks.values()]
    adversarial, predictions, all_frames = [], [], []
    for network in first_seed:
      stages = lead(network, study_key, x[image_of], target_of)
      led = np.repeat(x[:, None], classes, axis=1)
      led[image_of, target_of] = stages[:, -1]
      flat = led.reshape(-1, *x.shape[1:])
      repeated = np.repeat(labels, classes)
      adversarial.append(to_bytes(led, dataset.bounds))
      predictions.append(
        [
          read(reader, study_key, flat, repeated).reshape(len(labels), classes)
          for reader in first_seed
        ]
      )
      if shown:
        film = np.repeat(np.repeat(x[:, None, None], classes, axis=1), len(shown), axis=2)
        film[image_of, target_of] = stages[:, : len(shown)]
        all_frames.append(to_bytes(film[framed], dataset.bounds))
    images = to_bytes(x, dataset.bounds)
    has_numbers = np.array([not network.diverged for network in first_seed])
    arrays = {
      "target_rate": target_rate(np.array(predictions), labels, asked=has_numbers)[:, :, None],
      "stroke_size": np.stack([stroke_size(made, images, labels)[None] for made in adversarial]),
      "predictions": np.array(predictions),
      "adversarial": np.stack(adversarial),
      "images": images,
      "labels": labels,
      "positions": positions,
      "targets": targets,
    }
    if shown:
      arrays |= {"frames": np.stack(all_frames), "framed": framed}
    return arrays, {"attack": describe_attack(self.attack["name"], self.attack)}

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)


def to_bytes(x: np.ndarray, bounds: Bounds) -> np.ndarray:
  """Pixels within the bounds as uint8, 0 for the lower bound and 255 for the upper.

  >>> to_bytes(np.array([-0.5, 0.0, 0.5]), (-0.5, 0.5)).tolist()
  [0, 128, 255]
  """
  low, high = bounds
  return np.clip(np.rint((x - low) / (high - low) * 255), 0, 255).astype(np.uint8)
