"""Saliency panels: what each network looks at, on the same images."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.registry import get_attribution, is_signed
from robust_saliency.core import Attribution, LogitsFn, checks
from robust_saliency.data import Dataset, Split
from robust_saliency.studies.batches import Evaluator, Networks, key_for


def saliency(
  networks: Networks,
  dataset: Dataset,
  key: Array,
  *,
  attribution: Mapping[str, Any],
  per_class: int = 1,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Maps of the true class, for the first test examples of each class, by the first seed.

  Args:
    networks: name -> one trained network per seed.
    dataset: its test split is explained.
    key: fixes the attribution's noise.
    attribution: an attribution's config; "label" is what the report calls it.
    per_class: how many examples of each class.

  Returns:
    arrays {"images" [N, H, W, C] in [0, 1], "maps" [M, N, H, W, C], "labels" [N],
    "predictions" [M, N]} and facts {"models", "seed", "method", "classes"}.
  """
  chosen = first_of_each_class(dataset.test, len(dataset.classes), per_class)
  x = dataset.to_float(chosen.x)
  explain_with = attribution_on(dataset, attribution)

  def explain(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> tuple[Array, Array]:
    return explain_with(keys, logits_fn, x, y), jnp.argmax(logits_fn(x), axis=-1)

  evaluate = Evaluator(explain, batch_size=len(chosen))
  maps, predictions = zip(
    *(
      evaluate(of_seeds[0], key_for(key, "saliency"), x, chosen.y) for of_seeds in networks.values()
    ),
    strict=True,
  )
  low, high = dataset.bounds
  arrays = {
    "images": (x - low) / (high - low),
    "maps": np.stack(maps),
    "labels": chosen.y,
    "predictions": np.stack(predictions),
  }
  method = {
    "name": attribution["name"],
    "label": attribution.get("label", attribution["name"]),
    "signed": is_signed(attribution),
  }
  facts = {
    "models": list(networks),
    "seed": next(iter(networks.values()))[0].seed,
    "method": method,
    "classes": list(dataset.classes),
  }
  return arrays, facts


def attribution_on(dataset: Dataset, settings: Mapping[str, Any]) -> Attribution:
  """An attribution of a config, which knows the data set's pixel bounds where it needs them."""
  checks.mapping(**{"settings of attribution": settings})
  checks.text(label=settings.get("label", "none"))
  hyper_parameters = {name: value for name, value in settings.items() if name != "label"}
  return get_attribution(hyper_parameters, bounds=dataset.bounds)


def first_of_each_class(split: Split, classes: int, per_class: int) -> Split:
  """The first examples of each class, class by class."""
  return split.take(positions_of_each_class(split, classes, per_class))


def positions_of_each_class(split: Split, classes: int, per_class: int) -> np.ndarray:
  """Where the first examples of each class stand in a split, class by class."""
  positions = [np.flatnonzero(split.y == label)[:per_class] for label in range(classes)]
  return np.concatenate(positions)
