"""Class maps as what pixels of single images are ranked by."""

import dataclasses
from typing import Literal

import jax
import numpy as np
from jax import Array

from robust_saliency.core.settings import Names
from robust_saliency.data import Dataset, Split
from robust_saliency.results.result import Result
from robust_saliency.studies.batches import Evaluator, predict
from robust_saliency.studies.class_maps.parts import Parts, clusters_of, describe, parts_of
from robust_saliency.training import TrainedNetwork


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskSettings:
  """A map of a study of class maps, by which the pixels of all images are ranked.

  Attributes:
    study: of kind "class_maps".
    map: one of its maps.
    of: "all classes", one map for all images, which says nothing of theirs; or their "class",
      whose shape says which it is.
    label: what the report calls it.
    models: the networks whose maps they are, if not all.
  """

  study: str
  map: str
  of: Literal["all classes", "class"] = "all classes"
  label: str | None = None
  models: Names | None = None


class Painter:
  """Ranks the pixels of images by maps of classes.

  Args:
    result: of class maps.
    dataset: gives the pixel bounds.
    batch_size: images per call.
  """

  def __init__(self, result: Result, dataset: Dataset, *, batch_size: int):
    self._result, self._bounds, self._batch_size = result, dataset.bounds, batch_size
    self._predict = Evaluator(predict, batch_size=batch_size)
    # Superpixels, which take long, of each split, and their features, of each network, too.
    self._parts: dict[int, tuple[Split, Parts]] = {}
    self._features: dict[tuple[str, int, int], np.ndarray] = {}

  def maps(
    self,
    settings: MaskSettings,
    model: str,
    network: TrainedNetwork,
    key: Array,
    images: Split,
    *,
    predicted: bool,
  ) -> np.ndarray:
    """What pixels are ranked by, float32 [N, H, W].

    Where features are places, pixels of equal importance are ordered by lots that are drawn once:
    one map is then one mask, the same for all images.

    Args:
      settings: which map.
      model: the network's name.
      network: the network itself, of a seed of the result.
      key: draws lots.
      images: float images and their true classes.
      predicted: whether an image's class is the one that the network predicts.
    """
    per_class = settings.of == "class"
    at = {"method": settings.map, "model": model, "seed": network.seed}
    values = self._result.at("importance" if per_class else "overall", **at)
    values = np.asarray(values, np.float32).reshape(-1, values.shape[-1])
    classes = np.zeros(len(images), int)
    if per_class:
      classes = (
        self._predict(network, key, images.x, images.y) if predicted else np.asarray(images.y)
      )
    if self._result.metadata["clusters"] is None:
      painted = _strictly_ranked(values[:, self._result.arrays["places"]], key)
      return painted[classes] if per_class else np.broadcast_to(painted, images.x.shape[:3])
    parts = self._parts_of(images)
    of_parts = values[classes[:, None], self._features_of(model, network, images, parts)]
    return np.take_along_axis(of_parts, parts.labels.reshape(len(images), -1), axis=1).reshape(
      parts.labels.shape
    )

  def _features_of(
    self, model: str, network: TrainedNetwork, images: Split, parts: Parts
  ) -> np.ndarray:
    place = (model, network.seed, id(images))
    if place not in self._features:
      described = describe(network, images.x, parts, batch_size=self._batch_size)
      centers = self._result.at("centers", model=model, seed=network.seed)
      self._features[place] = clusters_of(described, parts.present, centers)
    return self._features[place]

  def _parts_of(self, images: Split) -> Parts:
    known = self._parts.get(id(images))
    if known is None or known[0] is not images:
      parts = parts_of(self._result.metadata["segments"], images.x, self._bounds)
      self._parts[id(images)] = (images, parts)
    return self._parts[id(images)][1]


def _strictly_ranked(maps: np.ndarray, key: Array) -> np.ndarray:
  """The rank of each pixel in its map [K, H, W], equal values in the order of one drawn lot."""
  random = np.random.default_rng(np.asarray(jax.random.key_data(key)).reshape(-1))
  flat = maps.reshape(len(maps), -1)
  lots = np.broadcast_to(random.permutation(flat.shape[1]), flat.shape)
  order = np.lexsort((lots, flat), axis=-1)
  ranks = np.empty(flat.shape, np.float32)
  np.put_along_axis(ranks, order, np.arange(flat.shape[1], dtype=np.float32)[None], axis=1)
  return ranks.reshape(maps.shape)
