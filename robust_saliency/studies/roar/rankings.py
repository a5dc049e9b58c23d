"""What the maps of a config rank the pixels of images by: maps of each image, or of its class."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.settings import read
from robust_saliency.data import Dataset, Split
from robust_saliency.results.result import Result
from robust_saliency.studies.class_maps.painting import MaskSettings, Painter
from robust_saliency.studies.importance import Importance
from robust_saliency.training import TrainedNetwork

Maps = Mapping[str, Mapping[str, Any]]
# (name of a network, the network, key, images) -> what their pixels are ranked by [N, H, W].
Ranking = Callable[[str, TrainedNetwork, Array, Split], np.ndarray]


def masks_of(maps: Maps) -> dict[str, MaskSettings]:
  """The maps that another study makes of classes.

  Raises:
    ValueError, TypeError: for settings that do not exist or are not allowed.
  """
  return {
    name: read(MaskSettings, settings, f"maps.{name}")
    for name, settings in maps.items()
    if "study" in settings
  }


def importances_of(
  maps: Maps, dataset: Dataset, *, labels: str, batch_size: int
) -> dict[str, Importance]:
  """The maps of single images, made ready for a data set; arguments as of `Importance`."""
  found = {}
  for name, settings in maps.items():
    if "study" in settings:
      continue
    with checks.naming(f"maps.{name}"):
      own = {field: value for field, value in settings.items() if field != "models"}
      found[name] = Importance(dataset, own, labels=labels, batch_size=batch_size)
  return found


def rankings_of(
  maps: Maps, results: Mapping[str, Result], dataset: Dataset, *, labels: str, batch_size: int
) -> dict[str, Ranking]:
  """What each map ranks pixels by, in the order of the maps.

  Args:
    maps: name -> its settings.
    results: of the studies that make maps of classes, by name.
    dataset: as of `Importance`, and so are the others.
    labels: see `Importance`.
    batch_size: see `Importance`.
  """
  masks = masks_of(maps)
  importances = importances_of(maps, dataset, labels=labels, batch_size=batch_size)
  painters = {
    name: Painter(result, dataset, batch_size=batch_size) for name, result in results.items()
  }

  def of_images(name: str) -> Ranking:
    return lambda model, network, key, images: importances[name].maps(network, key, images)

  def of_classes(name: str) -> Ranking:
    paint = functools.partial(painters[masks[name].study].maps, masks[name])
    return functools.partial(paint, predicted=labels == "predicted")

  return {name: (of_classes if name in masks else of_images)(name) for name in maps}
