"""The class maps of one network after the other."""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from robust_saliency.attributions.local.global_features import cluster_superpixels
from robust_saliency.data import Dataset, Split
from robust_saliency.results.uncertainty import mean_of_known
from robust_saliency.studies.batches import Evaluator, key_for, predict
from robust_saliency.studies.class_maps.aggregation import (
  Agreement,
  Values,
  aggregated,
  agreement,
  rank_correlations,
)
from robust_saliency.studies.class_maps.controls import CONTROLS, RANDOM
from robust_saliency.studies.class_maps.explaining import Local, explainer
from robust_saliency.studies.class_maps.methods import MEAN, Method, Rule, WithoutNetwork
from robust_saliency.studies.class_maps.parts import Parts, clusters_of, describe
from robust_saliency.training import TrainedNetwork


class Found(NamedTuple):
  """What one network gives, for M methods, K classes, F features.

  Attributes:
    importance: float32 [M, K, F].
    overall: float32 [M, F], for all classes together.
    explained: int [K], explanations of each class.
    fit: R^2 of the local models [N]; None without rules.
    rank_correlation: Spearman's, between methods [M, M], the mean over classes.
    stability: [M, sizes], between maps of one class from disjoint halves of the images.
    specificity: [M], by how much that exceeds the correlation of different classes' maps.
    centers: of the clusters [F, D]; None where features are places.
    features: of each part of the images, int [N, d]; None likewise.
  """

  importance: np.ndarray
  overall: np.ndarray
  explained: np.ndarray
  fit: Array | np.ndarray | None
  rank_correlation: np.ndarray
  stability: np.ndarray
  specificity: np.ndarray
  centers: np.ndarray | None
  features: np.ndarray | None


class Explaining:
  """Makes class maps of networks from the same images.

  Args:
    methods: name -> how a map is made.
    dataset: whose training images the controls know.
    images: float images that are explained, and their classes.
    parts: theirs.
    local: the study's settings of LIME.
    clusters: how many features superpixels have; None where features are places.
    predicted: whether the predicted class is explained, and not the true one.
    sizes: explanations of each class in a half, ascending.
    draws: how often halves are drawn.
    batch_size: images per call.
  """

  def __init__(
    self,
    methods: Mapping[str, Method],
    dataset: Dataset,
    images: Split,
    parts: Parts,
    *,
    local: Mapping[str, Any],
    clusters: int | None,
    predicted: bool,
    sizes: tuple[int, ...],
    draws: int,
    batch_size: int,
  ):
    self._methods, self._dataset, self._images, self._parts = methods, dataset, images, parts
    self._local, self._clusters, self._predicted = local, clusters, predicted
    self._sizes, self._draws, self._batch_size = sizes, draws, batch_size
    self._classes = len(dataset.classes)
    self._predict = Evaluator(predict, batch_size=batch_size)
    self._explainers: dict[str, Evaluator] = {}
    used = {one.control for one in methods.values() if isinstance(one, WithoutNetwork)}
    self._controls = {name: CONTROLS[name](dataset) for name in sorted(used - {RANDOM})}
    self._has_rules = any(isinstance(one, Rule) for one in methods.values())

  def of(self, network: TrainedNetwork, key: Array) -> Found:
    """All maps of a network; the key fixes LIME's masks, other methods' noise and random maps."""
    images, parts = self._images, self._parts
    classes = self._predict(network, key, images.x, images.y) if self._predicted else images.y
    centers = features = None
    if self._clusters is not None:
      described = describe(network, images.x, parts, batch_size=self._batch_size)
      centers = cluster_superpixels(described, parts.present, clusters=self._clusters).centers
      features = clusters_of(described, parts.present, centers)

    @functools.cache
    def local(settings: str) -> Local:
      explain = self._explainer(settings)
      given: Any = (images.y, parts.labels)
      return explain(network, key_for(key, "lime"), images.x, given)

    maps = [
      self._maps(method, key_for(key, name), network, classes, features, local)
      for name, method in self._methods.items()
    ]
    base = local(_text(self._local)) if self._has_rules else None
    present = parts.present if base is None else np.asarray(base.differs)
    shown = self._shown(present, features)
    alike = [[self._agreement(of, size, shown) for size in self._sizes] for *_, of in maps]
    same = np.array([[one.same for one in of_map] for of_map in alike])
    importance = np.array([of_classes for of_classes, *_ in maps], np.float32)
    return Found(
      importance,
      np.array([overall for _, overall, _ in maps], np.float32),
      np.bincount(classes, minlength=self._classes),
      None if base is None else base.fit,
      _between_methods(importance[..., shown]),
      same,
      same[:, -1] - [of_map[-1].others for of_map in alike],
      centers,
      features,
    )

  @property
  def _features(self) -> int:
    return self._parts.number if self._clusters is None else self._clusters

  def _explainer(self, settings: str) -> Evaluator:
    """LIME with these settings, compiled once for all networks."""
    if settings not in self._explainers:
      function = explainer(
        self._dataset,
        json.loads(settings),
        parts=self._parts.number,
        predicted=self._predicted,
      )
      self._explainers[settings] = Evaluator(function, batch_size=self._batch_size)
    return self._explainers[settings]

  def _maps(
    self,
    method: Method,
    key: Array,
    network: TrainedNetwork,
    classes: np.ndarray,
    features: np.ndarray | None,
    local: Callable[[str], Local],
  ) -> tuple[np.ndarray, np.ndarray, tuple[str, Values] | None]:
    """Maps [K, F] and [F], and what they are aggregated from; None where no image decides them."""
    count, parts = self._features, self._parts
    if isinstance(method, WithoutNetwork) and method.control == RANDOM:
      drawn = np.random.default_rng(np.asarray(jax.random.key_data(key)).reshape(-1))
      maps = drawn.uniform(size=(self._classes + 1, count))
      return maps[:-1], maps[-1], None
    if isinstance(method, WithoutNetwork):
      of_classes, of_all = self._controls[method.control]
      if features is None:
        places = Parts(np.broadcast_to(parts.labels[0], of_classes.shape), parts.number)
        return places.means(of_classes), places.means(of_all)[0], None
      each = (
        self._aggregated(MEAN, Values(parts.means(maps), parts.present, classes, features))
        for maps in (of_classes[classes], np.broadcast_to(of_all, parts.labels.shape))
      )
      return next(each)[0], next(each)[1], None
    if isinstance(method, Rule):
      rule, found = method.rule, local(_text(method.local))
      present = parts.present if method.blank == "counted" else np.asarray(found.differs)
      numbers = np.where(present, found.coefficients, np.float32(0))
      occurs = present if method.evidence == "all" else numbers > 0
      values = Values(numbers, occurs, classes, features)
    else:
      rule, maps = MEAN, method.maps(network, key, self._images)
      values = Values(parts.means(maps), parts.present, classes, features)
    return *self._aggregated(rule, values), (rule, values)

  def _aggregated(self, rule: str, values: Values) -> tuple[np.ndarray, np.ndarray]:
    of_classes, of_all = (
      aggregated(rule, values, classes=self._classes, features=self._features, per_class=each)
      for each in (True, False)
    )
    return of_classes, of_all

  def _shown(self, present: np.ndarray, features: np.ndarray | None) -> np.ndarray:
    """The features that some image has; the corners of all digits are of no rank, bool [F]."""
    if features is None:
      return np.asarray(present.any(axis=0))
    return np.bincount(features[present], minlength=self._features) > 0

  def _agreement(self, of: tuple[str, Values] | None, size: int, shown: np.ndarray) -> Agreement:
    if of is None:
      return Agreement(np.nan, np.nan)
    return agreement(
      *of, size=size, draws=self._draws, classes=self._classes, shown=shown, seed=size
    )


def _between_methods(maps: np.ndarray) -> np.ndarray:
  """Correlations of the maps [M, K, F] of one class, the mean over classes: [M, M]."""
  of_classes = rank_correlations(*[np.swapaxes(maps, 0, 1).astype(np.float64)] * 2)
  return mean_of_known(np.moveaxis(of_classes, 0, -1))


def _text(settings: Mapping[str, Any]) -> str:
  return json.dumps(dict(settings), sort_keys=True)
