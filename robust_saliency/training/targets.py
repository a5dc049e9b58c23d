"""What the terms of an objective need of each training image, besides its class."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax import Array

from robust_saliency.core import LogitsFn, checks
from robust_saliency.data import Dataset
from robust_saliency.objectives.terms import needed
from robust_saliency.training.map_settings import prepared
from robust_saliency.training.recipe import Recipe

# What a term may need of an image, but for its labels.
MAPS = ("map", "class maps")


def targets(
  recipe: Recipe,
  dataset: Dataset,
  *,
  teacher: LogitsFn | None = None,
  maps: Mapping[str, np.ndarray] | None = None,
  seed: int = 0,
) -> dict[str, np.ndarray]:
  """The entries of the step's data that become `Batch.targets`.

  Args:
    recipe: its objective's terms declare what they need.
    dataset: its training split.
    teacher: the logits of the recipe's teacher, which give the terms' labels.
    maps: the maps [N, H, W, ...] that they need, by name; what the recipe's `maps` say of one is
      done to it.
    seed: of the training.

  Returns:
    Name of an array -> [N, ...].

  Raises:
    ValueError: for a map that is missing, that no term needs, or that is of another size.
  """
  maps = dict(maps or {})
  wanted = {name: of for kind in MAPS for name, of in needed(recipe.objective, kind).items()}
  x = dataset.train.x
  for name, terms in wanted.items():
    if name not in maps:
      raise ValueError(
        f"the term {terms[0]!r} needs the map {name!r} of each image; give it as maps"
      )
  for name, values in maps.items():
    checks.one_of(name, wanted, argument="maps")
    if values.shape[:3] != x.shape[:3]:
      size = ", ".join(map(str, x.shape[:3]))
      raise ValueError(
        f"map {name!r} must be of the training images' size [{size}, ...], got shape {values.shape}"
      )
  for name, settings in recipe.map_settings.items():
    maps[name] = prepared(maps[name], settings, seed=seed)
  labels = {}
  if teacher is not None:
    for name, terms in needed(recipe.objective, "labels").items():
      labels[name] = _probabilities(teacher, dataset, recipe.teacher_temperature(terms[0]))
  return {**labels, **maps}


def empty_targets(recipe: Recipe, dataset: Dataset) -> dict[str, np.ndarray]:
  """Zeros of the shapes that `targets` gives, for a rehearsal of the step."""
  x = dataset.train.x
  classes = len(dataset.classes)
  shapes = {"labels": (len(x), classes), "map": x.shape, "class maps": (*x.shape, classes)}
  return {
    name: np.zeros(shape, np.float32)
    for kind, shape in shapes.items()
    for name in needed(recipe.objective, kind)
  }


def _probabilities(teacher: LogitsFn, dataset: Dataset, temperature: float) -> np.ndarray:
  predict: Callable[[Any], Array] = jax.jit(
    lambda x: jax.nn.softmax(teacher(dataset.to_float(x)) / temperature)
  )
  x = dataset.train.x
  return np.concatenate([predict(x[i : i + 1000]) for i in range(0, len(x), 1000)])
