"""Saliency maps of each network, of the same images."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.registry import is_signed
from robust_saliency.core import LogitsFn, checks
from robust_saliency.core.settings import Count
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.compact import rounded
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import (
  Evaluator,
  Networks,
  key_for,
  positions_of_each_class,
)
from robust_saliency.studies.methods import attribution_on
from robust_saliency.studies.saliency import page
from robust_saliency.studies.study import Measured, Study

# Of each sign, in a small report: its pictures have fewer.
SHADES = 31


@dataclasses.dataclass(frozen=True, kw_only=True)
class Saliency(Study):
  """Maps of the true class, for the first test examples of each class, by the first seed.

  Attributes:
    attribution: an attribution's config; "label" is what the report calls it.
    per_class: how many examples of each class, fewer where there are not so many.

  Arrays:
    maps: float32 [model, example, height, width, channel].
    predictions: int [model, example].
    images: float32 [example, height, width, channel], 0 to 1 from the lower to the upper bound.
    labels: int [example].
  """

  kind: ClassVar[str] = "saliency"
  shows_images: ClassVar[bool] = True

  attribution: Mapping[str, Any]
  per_class: Count = 1

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`; its only seed is the first."""
    image = ("example", "height", "width", "channel")
    return Layout(
      {
        "maps": ("model", *image),
        "predictions": ("model", "example"),
        "images": image,
        "labels": ("example",),
      },
      {"model": networks, "seed": seeds[:1]},
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    with checks.naming("attribution"):
      return {"attribution": attribution_on(dataset, self.attribution)}

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    positions = positions_of_each_class(dataset.test, len(dataset.classes), self.per_class)
    chosen = dataset.test.take(positions)
    x = dataset.to_float(chosen.x)
    attribute = attribution_on(dataset, self.attribution)

    def explain(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> tuple[Array, Array]:
      return attribute(keys, logits_fn, x, y), jnp.argmax(logits_fn(x), axis=-1)

    evaluate = Evaluator(explain, batch_size=len(chosen))
    maps_key = key_for(key, "saliency")
    maps, predictions = zip(
      *(evaluate(of_seeds[0], maps_key, x, chosen.y) for of_seeds in networks.values()),
      strict=True,
    )
    low, high = dataset.bounds
    arrays = {
      "maps": np.stack(maps),
      "predictions": np.stack(predictions),
      "images": (x - low) / (high - low),
      "labels": chosen.y,
    }
    name = self.attribution["name"]
    method = {
      "name": name,
      "label": self.attribution.get("label", name),
      "signed": is_signed(self.attribution),
    }
    return arrays, {"method": method, "classes": list(dataset.classes)}

  @staticmethod
  def without_derived(result: Result) -> Result:
    """See `Study.without_derived`."""
    maps = _in_few_shades(result.arrays["maps"])
    return dataclasses.replace(result, arrays={**result.arrays, "maps": maps})

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)


def _in_few_shades(maps: np.ndarray) -> np.ndarray:
  """Maps [model, example, ...] in SHADES steps from 0 to each one's largest magnitude."""
  # As it will be kept, or the steps would be others the next time.
  largest = np.abs(maps).max(axis=tuple(range(2, maps.ndim)), keepdims=True)
  largest = rounded(largest.astype(np.float32))
  unit = np.where(largest > 0, largest, 1) / SHADES
  return (np.rint(maps / unit) * unit).astype(maps.dtype)
