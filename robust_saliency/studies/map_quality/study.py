"""Numbers of saliency maps: how rough, how sparse and how like the image each network's are."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions import alignment, gini, total_variation
from robust_saliency.core import LogitsFn
from robust_saliency.data import Dataset
from robust_saliency.studies.batches import Evaluator, Networks, first_examples, key_for
from robust_saliency.studies.saliency import attribution_on

NUMBERS = ("total_variation", "gini", "alignment")


def map_quality(
  networks: Networks,
  dataset: Dataset,
  key: Array,
  *,
  attribution: Mapping[str, Any],
  examples: int | None = None,
  batch_size: int = 250,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Three numbers of the true class's map for each test image, see `attributions.map_statistics`.

  Where a map is exactly zero in float32, as gradients that underflow are, it has none of them:
  they are NaN there and `is_zero` says so.

  Args:
    networks: name -> one trained network per seed.
    dataset: its test split is explained.
    key: fixes the attribution's noise.
    attribution: an attribution's config; "label" is what the report calls it.
    examples: how many test examples, from the first; None for all.
    batch_size: examples per call.

  Returns:
    arrays {"total_variation", "gini", "alignment": float [M, S, N], "is_zero": bool [M, S, N]} and
    facts {"models", "method"}.

  Source: total variation of a network's maps stands for what Ross & Doshi-Velez 2018, figure 6,
  show to the eye.
  """
  test = first_examples(dataset.test, examples)
  x = dataset.to_float(test.x)
  explain = attribution_on(dataset, attribution)

  def describe(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> dict[str, Array]:
    maps = explain(keys, logits_fn, x, y)
    return {
      "total_variation": total_variation(maps),
      "gini": gini(maps),
      "alignment": alignment(maps, x),
      "is_zero": jnp.max(jnp.abs(maps), axis=(1, 2, 3)) == 0,
    }

  evaluate = Evaluator(describe, batch_size=batch_size)
  maps_key = key_for(key, "map_quality")
  described = [
    [evaluate(network, maps_key, x, test.y) for network in of_seeds]
    for of_seeds in networks.values()
  ]
  arrays = {
    name: np.array([[one[name] for one in of_seeds] for of_seeds in described])
    for name in (*NUMBERS, "is_zero")
  }
  method = {"name": attribution["name"], "label": attribution.get("label", attribution["name"])}
  return arrays, {"models": list(networks), "method": method}
