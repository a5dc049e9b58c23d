"""A targeted attack on the same images for each network, and whether its examples transfer.

The result is also the pool of a study with people in the manner of Ross & Doshi-Velez 2018: with
`per_class` 5 and ten classes, 45 images (5 originals x 9 targets) for each digit and network. An
image's metadata are its place in the arrays (network, original, target), the original's label and
position in the test split, and its success flag `predictions[m, m, s, n, k] == targets[k]`.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import flax.linen as nn
import jax
import numpy as np
from jax import Array

from robust_saliency.core import Bounds
from robust_saliency.core.settings import Count, CountOrZero, Distinct, Names
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
from robust_saliency.studies.targeted.outsiders import OUTSIDERS, outsiders
from robust_saliency.studies.targeted.reading import stroke_ratio, stroke_size, target_rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class Targeted(Study):
  """The first test images of each class, targeted at every other, and who reads them as targets.

  JSMA dominates the cost: with gamma 0.25 on 28x28 images and the network of Ross & Doshi-Velez
  an image takes about 0.2 s of a CPU core, so the 450 of one network a minute and a half. The
  iterated TGSM takes seconds.

  Attributes:
    attack: the config of an attack that can be aimed ("jsma", "tgsm", "pgd", ...), all its
      settings but the target; "label" is what the report calls it. With several steps "tgsm" is
      the iterated one.
    readers: networks that only read, besides `models`; None for none.
    per_class: images of each class.
    batch_size: pairs of an image and a target per call. Those of one class and one target lie
      together, since JSMA goes on until the last of a batch has reached its target.
    frames: after how many steps of "tgsm" the images are also kept, ascending from 0 or more;
      None for none. Of the first image of each class.

  Arrays, model the network that is attacked, reader who classifies the images (of networks that of
  the same seed), class the target; where that is the image's label, the clean image:
    target_rate: the share of an original's images that are classified as their target, clean
      ones left out, float64 [model, reader, seed, example]. It is high where the examples transfer
      to the reader, more so the more alike the two were trained: two networks' images are best
      compared by readers that are neither of them nor trained like one. It nears 1 for any network
      where nothing holds the image near its start (15 steps of 0.1 on MNIST).
    stroke_size: the pixels of a mean group of changed ones that touch, diagonally too, the mean
      over an original's targets, float64 [model, seed, example]. Strokes are few large groups,
      scattered pixels many small ones.
    stroke_ratio: how many times as large those groups are as when as many pixels lie at random,
      likewise.
    predictions: of the images before they are rounded, int [model, reader, seed, example, class].
    adversarial: of the first seed, uint8 [model, example, class, height, width, channel], 0 to 255
      from the lower to the upper bound.
    images: the originals, uint8 [example, height, width, channel].
    labels, positions: theirs, and where they stand in the test split, int [example].
    targets: 0 to K - 1 [class].
    frames: of the first seed, uint8 [model, framed, class, frame, height, width, channel], only if
      asked for.
    framed: the examples that they show, int [framed].

  The readers are the networks, and two from outside (`outsiders`).

  Source: Ross & Doshi-Velez 2018, figures 5 and 11, and the human-subject study. They judge both
  figures by eye; other readers and the size of strokes are asked instead.
  """

  kind: ClassVar[str] = "targeted"
  version: ClassVar[int] = 2
  shows_images: ClassVar[bool] = True

  attack: Mapping[str, Any]
  readers: Names | None = None
  per_class: Count = 5
  batch_size: Count = 100
  frames: Annotated[tuple[CountOrZero, ...], Distinct()] | None = None

  def networks(self, trained: Iterable[str]) -> tuple[str, ...]:
    """See `Study.networks`."""
    return tuple(dict.fromkeys([*super().networks(trained), *(self.readers or ())]))

  def attacked(self, networks: Iterable[str]) -> tuple[str, ...]:
    """Of the networks that are left those that do not only read."""
    return tuple(name for name in networks if self.models is None or name in self.models)

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    pixels = ("height", "width", "channel")
    per_original = ("seed", "example")
    axes: dict[str, tuple[str, ...]] = {
      "target_rate": ("model", "reader", *per_original),
      "stroke_size": ("model", *per_original),
      "stroke_ratio": ("model", *per_original),
      "predictions": ("model", "reader", *per_original, "class"),
      "adversarial": ("model", "example", "class", *pixels),
      "images": ("example", *pixels),
      "labels": ("example",),
      "positions": ("example",),
      "targets": ("class",),
    }
    coordinates: dict[str, tuple[Any, ...]] = {
      "model": self.attacked(networks),
      "reader": (*networks, *OUTSIDERS),
      "seed": seeds,
      "class": tuple(dataset.classes),
    }
    if self.frames is not None:
      axes |= {"frames": ("model", "framed", "class", "frame", *pixels), "framed": ("framed",)}
      coordinates["frame"] = self.frames
    return Layout(
      axes,
      coordinates,
      images_each={"target_rate": len(dataset.classes) - 1},
      units=dict.fromkeys(("target_rate", "stroke_size", "stroke_ratio"), "originals"),
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    return {"attack": aimed(dataset, self.attack, self.frames)}

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    super().check(modules, dataset)
    for name in OUTSIDERS:
      if name in modules:
        raise ValueError(
          f"models of a targeted study must have names other than {name!r}, which is a reader of "
          f"its own; got {', '.join(modules)}"
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
    draws = int(jax.random.bits(key_for(key, "strokes")))
    images, led_labels = to_bytes(x, dataset.bounds), np.repeat(labels, classes)
    attacked = self.attacked(networks)
    from_outside = outsiders(dataset)
    seeds = range(len(networks[attacked[0]]))
    shape = (len(attacked), len(networks) + len(from_outside), len(seeds), len(labels), classes)
    predictions = np.zeros(shape, np.int64)
    sizes, ratios = np.zeros((2, len(attacked), len(seeds), len(labels)))
    adversarial, all_frames = [], []
    for (m, name), s in itertools.product(enumerate(attacked), seeds):
      stages = lead(networks[name][s], study_key, x[image_of], target_of)
      led = np.repeat(x[:, None], classes, axis=1)
      led[image_of, target_of] = stages[:, -1]
      flat = led.reshape(-1, *x.shape[1:])
      of_readers = [
        *(read(of_seeds[s], study_key, flat, led_labels) for of_seeds in networks.values()),
        *(reader(flat) for reader in from_outside.values()),
      ]
      predictions[m, :, s] = np.reshape(of_readers, (len(of_readers), len(labels), classes))
      in_bytes = to_bytes(led, dataset.bounds)
      sizes[m, s] = stroke_size(in_bytes, images, labels)
      ratios[m, s] = stroke_ratio(in_bytes, images, labels, seed=draws)
      if s > 0:
        continue
      adversarial.append(in_bytes)
      if shown:
        film = np.repeat(np.repeat(x[:, None, None], classes, axis=1), len(shown), axis=2)
        film[image_of, target_of] = stages[:, : len(shown)]
        all_frames.append(to_bytes(film[framed], dataset.bounds))
    arrays = {
      "target_rate": target_rate(predictions, labels),
      "stroke_size": sizes,
      "stroke_ratio": ratios,
      "predictions": predictions,
      "adversarial": np.stack(adversarial),
      "images": images,
      "labels": labels,
      "positions": positions,
      "targets": targets,
    }
    if shown:
      arrays |= {"frames": np.stack(all_frames), "framed": framed}
    return arrays, {"attack": describe_attack(self.attack["name"], self.attack)}

  @staticmethod
  def without_derived(result: Result) -> Result:
    """See `Study.without_derived`."""
    return page.in_few_greys(page.only_drawn(result))

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
