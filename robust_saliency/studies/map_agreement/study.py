"""Agreement of input gradients with other networks' maps, on training and on test images."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions import gradient
from robust_saliency.core import LogitsFn, checks, get_norm
from robust_saliency.core.settings import Count, Names
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Evaluator, Networks, first_examples, key_for
from robust_saliency.studies.map_agreement import page
from robust_saliency.studies.methods import attribution_on
from robust_saliency.studies.study import Measured, Study

SPLITS = ("train", "test")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapAgreement(Study):
  """Cosines of each network's input gradients with the maps of references, and gradient norms.

  A network that was trained to have another's maps has them on the images that it has seen; whether
  it has them on others, and in evaluation mode, where dropout and batch statistics do not stir its
  gradients, is measured here. Gradients are of the true class's logit.

  Attributes:
    references: the networks whose maps are the measure.
    attribution: the config of these maps; "label" is what the report calls them.
    examples: how many images of each split, from the first; None for as many as both have.
    batch_size: examples per call.

  Arrays:
    cosine: between the gradient and the reference's map of the same image and seed, float32 [split,
      reference, model, seed, example]; NaN where one of them is zero.
    gradient_norm: ||d f_y(x) / dx||_2, float32 [split, model, seed, example].
  """

  kind: ClassVar[str] = "map_agreement"

  references: Names
  attribution: Mapping[str, Any]
  examples: Count | None = None
  batch_size: Count = 100

  def networks(self, trained: Iterable[str]) -> tuple[str, ...]:
    """See `Study.networks`."""
    return tuple(dict.fromkeys([*super().networks(trained), *self.references]))

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    return Layout(
      {
        "cosine": ("split", "reference", "model", "seed", "example"),
        "gradient_norm": ("split", "model", "seed", "example"),
      },
      {"split": SPLITS, "reference": self.references, "model": networks, "seed": seeds},
      units={"cosine": "images", "gradient_norm": "images"},
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    with checks.naming("attribution"):
      return {"attribution": attribution_on(dataset, self.attribution)}

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    for split in SPLITS:
      first_examples(dataset.splits[split], self.examples)
    super().check(modules, dataset)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    examples = self.examples or min(len(dataset.splits[name]) for name in SPLITS)
    attribute = Evaluator(attribution_on(dataset, self.attribution), batch_size=self.batch_size)
    differentiate = Evaluator(_gradient, batch_size=self.batch_size)
    norms, cosines = [], []
    for name in SPLITS:
      split = first_examples(dataset.splits[name], examples)
      x, y = dataset.to_float(split.x), split.y
      maps = {
        reference: [attribute(one, key_for(key, name), x, y) for one in networks[reference]]
        for reference in self.references
      }
      of_split = [
        [differentiate(one, key, x, y) for one in of_seeds] for of_seeds in networks.values()
      ]
      norms.append([[length for _, length in of_seeds] for of_seeds in of_split])
      cosines.append(
        [
          [
            [cosine(gradients, of_seeds[s]) for s, (gradients, _) in enumerate(of_model)]
            for of_model in of_split
          ]
          for of_seeds in maps.values()
        ]
      )
    name = self.attribution["name"]
    return {"cosine": np.array(cosines), "gradient_norm": np.array(norms)}, {
      "label": self.attribution.get("label", name)
    }

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)


def cosine(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
  """The cosine of each two maps, float32 [N], of [N, ...]; NaN where one is zero.

  >>> cosine(np.array([[3.0, 4.0], [1.0, 1.0]]), np.array([[4.0, 3.0], [0.0, 0.0]])).tolist()
  [0.9599999785423279, nan]
  """
  first, second = (_of_unit_length(one.reshape(len(one), -1)) for one in (maps, others))
  return np.sum(first * second, axis=1).astype(np.float32)


def _of_unit_length(maps: np.ndarray) -> np.ndarray:
  values = maps.astype(np.float64)
  lengths = np.linalg.norm(values, axis=1, keepdims=True)
  return np.where(lengths > 0, values, np.nan) / np.where(lengths > 0, lengths, 1.0)


def _gradient(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> tuple[Array, Array]:
  of_logit = gradient(keys, logits_fn, x, y, score="logit")
  return of_logit, jax.vmap(get_norm("l2").length)(jnp.asarray(of_logit))
