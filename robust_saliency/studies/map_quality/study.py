"""Statistics of saliency maps: how rough, how sparse and how like the image each network's are."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions import alignment, gini, total_variation
from robust_saliency.core import LogitsFn, checks
from robust_saliency.core.settings import Count
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Evaluator, Networks, first_examples, key_for
from robust_saliency.studies.map_quality import page
from robust_saliency.studies.methods import attribution_on
from robust_saliency.studies.study import Measured, Study


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapQuality(Study):
  """Three statistics of the true class's map for each test image.

  Where a map is exactly zero in float32, as gradients that underflow are, it has none of them.

  Attributes:
    attribution: an attribution's config; "label" is what the report calls it.
    examples: how many test examples, from the first; None for all.
    batch_size: examples per call.

  Arrays, all [model, seed, example]:
    total_variation, gini, alignment: of `attributions.map_statistics`, float32, NaN where the map
      is zero.
    is_zero: whether it is, bool.

  Source: total variation of a network's maps stands for what Ross & Doshi-Velez 2018, figure 6,
  show to the eye.
  """

  kind: ClassVar[str] = "map_quality"

  attribution: Mapping[str, Any]
  examples: Count | None = None
  batch_size: Count = 250

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    names = (*page.TITLES, "is_zero")
    return Layout(
      dict.fromkeys(names, ("model", "seed", "example")), {"model": networks, "seed": seeds}
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    with checks.naming("attribution"):
      return {"attribution": attribution_on(dataset, self.attribution)}

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    super().check(modules, dataset)
    first_examples(dataset.test, self.examples)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    test = first_examples(dataset.test, self.examples)
    x = dataset.to_float(test.x)
    attribute = attribution_on(dataset, self.attribution)

    def describe(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> dict[str, Array]:
      maps = attribute(keys, logits_fn, x, y)
      return {
        "total_variation": total_variation(maps),
        "gini": gini(maps),
        "alignment": alignment(maps, x),
        "is_zero": jnp.max(jnp.abs(maps), axis=(1, 2, 3)) == 0,
      }

    evaluate = Evaluator(describe, batch_size=self.batch_size)
    maps_key = key_for(key, "map_quality")
    described = [
      [evaluate(network, maps_key, x, test.y) for network in of_seeds]
      for of_seeds in networks.values()
    ]
    arrays = {
      name: np.array([[one[name] for one in of_seeds] for of_seeds in described])
      for name in (*page.TITLES, "is_zero")
    }
    name = self.attribution["name"]
    return arrays, {"method": {"name": name, "label": self.attribution.get("label", name)}}

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)
