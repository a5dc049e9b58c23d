"""Norms of input gradients, and log-probabilities: what masking and penalties leave."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import flax.linen as nn
import jax
import numpy as np
from jax import Array

from robust_saliency.attributions import gradient
from robust_saliency.core import LogitsFn, get_norm
from robust_saliency.core.settings import Count, Positive
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Evaluator, Networks, first_examples
from robust_saliency.studies.gradients import page
from robust_saliency.studies.study import Measured, Study

TARGETS = ("y", "y + 1", "1/K")
# What a small report keeps log-probabilities of: they only fill a histogram.
HISTOGRAM_EXAMPLES = 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gradients(Study):
  """The ℓ₂ norm of each test image's loss gradient, and the log-probabilities of all classes.

  Gradients of each example's own cross-entropy in float32, in evaluation mode. One that underflows
  altogether has norm 0: single-step attacks do not move there.

  Attributes:
    examples: how many test examples, from the first; None for all.
    floor: what a smaller norm counts as where logarithms of all are compared.
    batch_size: examples per call.

  Arrays, target the label of the loss: the true class "y", the next one, "y + 1" modulo K, or all
  of them alike, "1/K":
    gradient_norm: ||d H(target, f(x)) / dx||_2, float32 [target, model, seed, example].
    is_zero: whether it is exactly 0, bool [target, model, seed, example].
    mean_square: the mean of its squares over examples, float64 [target, model, seed].
    log_spread: the interquartile range of its log10 over examples, likewise.
    log_probabilities: log f(x), float32 [model, seed, example, class].
    other_log_probability: the mean of those of the classes that the network does not predict,
      float64 [model, seed, example].

  Source: Ross & Doshi-Velez 2018, figures 4 and 8; the paper's norms are those of a mean over 1,000
  examples, 1/1000 of these.
  """

  kind: ClassVar[str] = "gradients"
  version: ClassVar[int] = 2

  examples: Count | None = None
  floor: Positive = 1e-17
  batch_size: Count = 250

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    of_example = ("model", "seed", "example")
    return Layout(
      {
        "gradient_norm": ("target", *of_example),
        "is_zero": ("target", *of_example),
        **dict.fromkeys(("mean_square", "log_spread"), ("target", "model", "seed")),
        "log_probabilities": (*of_example, "class"),
        "other_log_probability": of_example,
      },
      {"target": TARGETS, "model": networks, "seed": seeds, "class": tuple(dataset.classes)},
    )

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    super().check(modules, dataset)
    first_examples(dataset.test, self.examples)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    test = first_examples(dataset.test, self.examples)
    x, classes = dataset.to_float(test.x), len(dataset.classes)
    norm = jax.vmap(get_norm("l2").length)

    def describe(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> tuple[Array, ...]:
      gradients = (
        gradient(keys, logits_fn, x, y, score="cross_entropy"),
        gradient(keys, logits_fn, x, (y + 1) % classes, score="cross_entropy"),
        gradient(keys, logits_fn, x, y, score="uniform_cross_entropy"),
      )
      return *map(norm, gradients), jax.nn.log_softmax(logits_fn(x))

    evaluate = Evaluator(describe, batch_size=self.batch_size)
    measured = [
      [evaluate(network, key, x, test.y) for network in of_seeds] for of_seeds in networks.values()
    ]
    *norms, log_probabilities = (
      np.array([[one[part] for one in of_seeds] for of_seeds in measured])
      for part in range(len(TARGETS) + 1)
    )
    gradient_norm = np.stack(norms)
    return {
      "gradient_norm": gradient_norm,
      "is_zero": gradient_norm == 0,
      "mean_square": np.square(gradient_norm, dtype=np.float64).mean(axis=-1),
      "log_spread": log_spread(gradient_norm, self.floor),
      "log_probabilities": log_probabilities,
      "other_log_probability": of_other_classes(log_probabilities),
    }, {}

  @staticmethod
  def without_derived(result: Result) -> Result:
    """See `Study.without_derived`."""
    few = result.arrays["log_probabilities"][:, :, :HISTOGRAM_EXAMPLES]
    axes = {**result.layout.axes, "log_probabilities": ("model", "seed", "shown", "class")}
    return dataclasses.replace(
      result,
      layout=dataclasses.replace(result.layout, axes=axes),
      arrays={**result.arrays, "log_probabilities": few},
    )

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)


def log_spread(norms: np.ndarray, floor: float) -> np.ndarray:
  """By how many decades the third quartile exceeds the first, float64 [...], of [..., N].

  >>> float(log_spread(np.array([0.0, 1e-3, 1e-2, 1e-1, 1e3]), 1e-17))
  2.0
  """
  logs = np.log10(np.maximum(norms.astype(np.float64), floor))
  first, third = np.percentile(logs, (25, 75), axis=-1)
  return third - first


def of_other_classes(log_probabilities: np.ndarray) -> np.ndarray:
  """The mean over all classes but the predicted one, float64 [...], of [..., K].

  >>> float(of_other_classes(np.array([-0.25, -4.0, -2.0])))
  -3.0
  """
  values = log_probabilities.astype(np.float64)
  others: np.ndarray = values.sum(axis=-1) - values.max(axis=-1)
  return others / max(values.shape[-1] - 1, 1)
