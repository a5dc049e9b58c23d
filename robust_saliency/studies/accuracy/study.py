"""Clean accuracy on the test set."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import flax.linen as nn
import numpy as np
from jax import Array

from robust_saliency.core.settings import Count
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.accuracy import page
from robust_saliency.studies.batches import Evaluator, Networks, first_examples, predict
from robust_saliency.studies.study import Measured, Study


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accuracy(Study):
  """Which test examples each network classifies correctly.

  Attributes:
    examples: how many test examples, from the first; None for all.
    batch_size: examples per call.

  Arrays: correct, bool [model, seed, example].
  """

  kind: ClassVar[str] = "accuracy"

  examples: Count | None = None
  batch_size: Count = 1000

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    return Layout({"correct": ("model", "seed", "example")}, {"model": networks, "seed": seeds})

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    super().check(modules, dataset)
    first_examples(dataset.test, self.examples)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    test = first_examples(dataset.test, self.examples)
    x = dataset.to_float(test.x)
    evaluate = Evaluator(predict, batch_size=self.batch_size)
    correct = [
      [evaluate(network, key, x, test.y) == test.y for network in of_seeds]
      for of_seeds in networks.values()
    ]
    return {"correct": np.array(correct)}, {}

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result)
