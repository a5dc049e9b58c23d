"""Batch statistics: what a network with batch norm keeps of its robustness in training."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import flax.linen as nn
import numpy as np
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.settings import Count, NonNegative
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batch_statistics import page
from robust_saliency.studies.batch_statistics.readings import Reader
from robust_saliency.studies.batches import Networks, first_examples
from robust_saliency.studies.study import Measured, Study
from robust_saliency.training import Recipe, TrainedNetwork

# Reading -> what the page calls it.
READINGS = {
  "last": "After the last step",
  "averaged": "Moving average of the parameters",
  "best": "Best of the last checkpoints on validation images",
  "clean": "Last step, batch statistics of clean images",
  "attacked": "Last step, batch statistics of attacked images",
  "both": "Last step, batch statistics of both, anew",
  "own": "Last step, images read by their own batch’s statistics",
  "own, attack too": "Last step, images attacked and read by their own batch’s statistics",
}
FURTHER = ("clean", "attacked", "both")


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchStatistics(Study):
  """One network, read with other parameters or other batch statistics, clean and under FGSM.

  Adversarial training with batch norm normalises clean and attacked images by statistics of their
  own batch each, and evaluates by running averages over both kinds. How far that explains what is
  lost between training and evaluation is told by readings that differ in nothing else: the last
  step, the moving average of the parameters and the best of the last checkpoints; the last step by
  running averages of clean images alone, of attacked ones alone (as if the two kinds had had
  separate ones in training, where running averages play no part) and of both anew; and by the
  statistics of the test images' own batch.

  Attributes:
    epsilon: FGSM's radius; the attack is through the network as it is read, with the true labels.
    examples: how many test examples, from the first; None for all.
    validation_examples: how many validation examples choose the best checkpoint, under FGSM; None
      for all.
    batches: how many batches of training images update the running averages, at most all.
    batch_size: images per batch, best that of training.

  Arrays, bool [model, seed, reading, example]: clean, attacked: whether a test image is classified
  correctly.
  """

  kind: ClassVar[str] = "batch_statistics"

  epsilon: NonNegative
  examples: Count | None = None
  validation_examples: Count | None = None
  batches: Count = 100
  batch_size: Count = 128

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    axes = ("model", "seed", "reading", "example")
    coordinates = {"model": networks, "seed": seeds, "reading": tuple(READINGS)}
    return Layout(dict.fromkeys(("clean", "attacked"), axes), coordinates)

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    super().check(modules, dataset)
    first_examples(dataset.test, self.examples)
    with checks.naming("validation_examples"):
      first_examples(
        dataset.validation_for(f"a study of kind {self.kind}"), self.validation_examples
      )

  def check_training(self, recipes: Mapping[str, Recipe]) -> None:
    """See `Study.check_training`."""
    for name, recipe in recipes.items():
      for field in ("averaging", "snapshots"):
        if getattr(recipe, field) is None:
          raise ValueError(f"its network {name!r} needs the field {field!r}, which is compared")

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    of_each = [
      [self._read(network, dataset) for network in of_seeds] for of_seeds in networks.values()
    ]
    correct = np.moveaxis(np.array(of_each), 3, 0)
    arrays = dict(zip(("clean", "attacked"), correct, strict=True))
    return arrays, {"epsilon": float(self.epsilon), "readings": READINGS}

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result)

  def _read(self, network: TrainedNetwork, dataset: Dataset) -> np.ndarray:
    """bool [reading, clean or attacked, example]."""
    reader = Reader(
      network.module, epsilon=self.epsilon, bounds=dataset.bounds, batch_size=self.batch_size
    )
    test = first_examples(dataset.test, self.examples)
    validation = first_examples(
      dataset.validation_for(f"a study of kind {self.kind}"), self.validation_examples
    )
    train = dataset.train.take(slice(self.batches * self.batch_size))
    x, train_x, validation_x = (
      np.asarray(dataset.to_float(split.x)) for split in (test, train, validation)
    )
    # One that has diverged is read as it began, and struck out.
    last = network.variables if network.last is None else network.last
    snapshots = network.snapshots or (last,)
    robust = [reader.correct(one, validation_x, validation.y)[1].mean() for one in snapshots]
    variables = {
      "last": last,
      "averaged": network.variables,
      # Of equals the later one.
      "best": snapshots[len(robust) - 1 - int(np.argmax(robust[::-1]))],
      **{kind: reader.with_statistics_of(last, train_x, train.y, kind=kind) for kind in FURTHER},
    }
    found = {name: reader.correct(one, x, test.y) for name, one in variables.items()}
    found["own"] = reader.correct(last, x, test.y, reading="training")
    found["own, attack too"] = reader.correct(
      last, x, test.y, crafting="training", reading="training"
    )
    return np.array([found[name] for name in READINGS])
