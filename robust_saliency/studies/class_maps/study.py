"""Class explanations: which features matter to a network for each class, and for all together."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.local.superpixels import SEGMENTATIONS
from robust_saliency.attributions.relu_rules import with_opened_relu
from robust_saliency.core import LogitsFn, checks
from robust_saliency.core.binding import bind
from robust_saliency.core.settings import Count, Distinct, plain
from robust_saliency.data import Dataset, Split
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Networks, key_for, positions_of_each_class
from robust_saliency.studies.class_maps import page
from robust_saliency.studies.class_maps.explaining import explainer, local_settings
from robust_saliency.studies.class_maps.measuring import Explaining, Found
from robust_saliency.studies.class_maps.methods import Method, Rule, read_method
from robust_saliency.studies.class_maps.parts import SHARED, Parts, name_of, parts_of
from robust_saliency.studies.importance import Importance
from robust_saliency.studies.study import Measured, Study

MAP_AXES = ("method", "model", "class", "height", "width")
# As a refusal says it.
NEEDED_BY = "class maps of the validation split"
Maps = Annotated[Mapping[str, Mapping[str, Any]], Distinct()]
Sizes = Annotated[tuple[Count, ...], Distinct()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassMaps(Study):
  """One map for each class, and one for all, of images that are explained one by one.

  Images are cut into parts, and every method says how much each part of an image counts: LIME by
  its coefficient, others by the mean of |a| over the part's pixels. What a class's images say is
  aggregated by a rule, for methods other than LIME by the mean over images; for all classes
  together by the same rule over all images. Controls know no network.

  Attributes:
    maps: name -> {"rule": ...}, an aggregation of LIME's coefficients, see `methods.Rule`; an
      attribution's config, see `importance.Importance`; or {"control": "random", "variance" or
      "anova_f"}, see `controls`. "label" is what the report calls it.
    segments: the parts: "pixels", "grid" with its "cells" per side, or superpixels ("slic", say),
      see `attributions.local.superpixels`.
    clusters: of superpixels how many features they form, alike by the explained network's last
      feature maps; None where parts lie at the same place in every image.
    local: LIME's settings, those of `attributions.explain_locally`; hidden parts get the lowest
      pixel value where there is no "fill".
    labels: the class that is explained and whose map an image counts for, "predicted" or "true".
    split: whose images; masks of pixels should not come from those that are scored by them.
    of_each_class: how many of each true class, from the first; None for all images.
    sizes: how many explanations of each class are in a half, for `stability`.
    draws: how often halves are drawn.
    batch_size: images per call.

  Arrays, F the features: pixels or cells row by row, or clusters:
    importance: float32 [method, model, seed, class, feature], the methods those of `maps`.
    overall: float32 [method, model, seed, feature], for all classes together.
    maps: float32 [method, model, class, height, width], the importance of each pixel of `pictures`,
      of the first seed's networks.
    explained: int [model, seed, class], how many explanations there are.
    rank_correlation: float64 [method, other, model, seed], Spearman's between two methods' maps,
      the mean over classes. Here and below features count that some image shows.
    stability: float64 [method, size, model, seed], Spearman's between maps of one class from
      disjoint halves of its images, the mean over classes and draws; NaN for controls. With one
      explanation in a half it is that between the explanations of two images.
    specificity: float64 [method, model, seed], `stability` of the largest halves minus the same
      between different classes: 0 where all classes have one map.
    fit: float32 [model, seed, example], the weighted R^2 of LIME's linear models.
    pictures: float32 [class, height, width, channel], 0 to 1: the mean of a class's images, or
      where superpixels are explained the first of them.
    places: int32 [height, width], the feature of each pixel, where features are places.
    centers: float32 [model, seed, feature, descriptor], of clusters.

  Source: Ahern et al. 2019, "NormLIME: a new feature importance metric for explaining deep neural
  networks"; for SP-LIME's importance Ribeiro et al. 2016; InterpretDL for clustered superpixels.
  """

  kind: ClassVar[str] = "class_maps"

  maps: Maps
  segments: Any = "grid"
  clusters: Count | None = None
  local: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  labels: Literal["predicted", "true"] = "predicted"
  split: Literal["train", "validation", "test"] = "test"
  of_each_class: Count | None = 100
  sizes: Sizes = (1, 5, 20, 40)
  draws: Count = 10
  batch_size: Count = 50

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    of_network = ("model", "seed")
    axes = {
      "importance": ("method", *of_network, "class", "feature"),
      "overall": ("method", *of_network, "feature"),
      "maps": MAP_AXES,
      "explained": (*of_network, "class"),
      "rank_correlation": ("method", "other", *of_network),
      "stability": ("method", "size", *of_network),
      "specificity": ("method", *of_network),
      "pictures": ("class", "height", "width", "channel"),
    }
    if self._has_rules:
      axes["fit"] = (*of_network, "example")
    if self.clusters is None:
      axes["places"] = ("height", "width")
    else:
      axes["centers"] = (*of_network, "feature", "descriptor")
    names = tuple(self.maps)
    return Layout(
      axes,
      {
        "method": names,
        "other": names,
        "size": tuple(sorted(self.sizes)),
        "class": tuple(dataset.classes),
        "model": networks,
        "seed": seeds,
      },
      units={"fit": f"images of the {self.split} split"},
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    found: dict[str, Callable[..., Array]] = {}
    for name, method in self._methods(dataset).items():
      if isinstance(method, Importance):
        found[f"maps.{name}"] = method.attribution
      elif isinstance(method, Rule):
        found[f"maps.{name}: local"] = _of_two_parts(dataset, method)
    if self.clusters is not None:
      found["clusters"] = lambda key, logits_fn, x, y: with_opened_relu(logits_fn, x)(x, 0.0)[1]
    return found

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    segments = {"name": self.segments} if isinstance(self.segments, str) else self.segments
    with checks.naming("segments"):
      bind(SEGMENTATIONS, segments, what="segments")
      if shared := name_of(segments) in SHARED:
        parts_of(segments, np.zeros((1, *dataset.image_shape), np.float32), (0.0, 1.0))
    if shared != (self.clusters is None):
      raise ValueError(
        f"clusters must be given for superpixels and left out for {' and '.join(SHARED)}; got "
        f"{self.clusters} for {name_of(segments)}"
      )
    local_settings(dataset, self.local)
    names = [str(one.get("label", name)) for name, one in self.maps.items()]
    if len(set(names)) < len(names):
      raise ValueError(f"labels of maps must differ, got {', '.join(names)}")
    images, most = dataset.split_for(NEEDED_BY, self.split), 2 * max(self.sizes)
    if self.of_each_class is not None and most > self.of_each_class:
      raise ValueError(
        f"sizes must be at most half of of_each_class, {self.of_each_class}, got {self.sizes}"
      )
    if self.of_each_class is not None and self.of_each_class > len(images):
      raise ValueError(f"of_each_class must be <= {len(images)}, got {self.of_each_class}")
    super().check(modules, dataset)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    split = dataset.split_for(NEEDED_BY, self.split)
    if self.of_each_class is not None:
      split = split.take(positions_of_each_class(split, len(dataset.classes), self.of_each_class))
    images = Split(np.asarray(dataset.to_float(split.x), np.float32), split.y)
    parts = parts_of(self.segments, images.x, dataset.bounds)
    explaining = Explaining(
      self._methods(dataset),
      dataset,
      images,
      parts,
      local=local_settings(dataset, self.local),
      clusters=self.clusters,
      predicted=self.labels == "predicted",
      sizes=tuple(sorted(self.sizes)),
      draws=self.draws,
      batch_size=self.batch_size,
    )
    found = [
      [explaining.of(one, jax.random.fold_in(key_for(key, self.kind), s)) for s, one in of_seeds]
      for of_seeds in map(enumerate, networks.values())
    ]
    shown = self._shown(images, parts, [of_seeds[0] for of_seeds in found], dataset)
    return {**self._gathered(found), **shown}, {
      "labels": {name: one.get("label", name) for name, one in self.maps.items()},
      "without_network": [name for name, one in self.maps.items() if "control" in one],
      "rules": [name for name, one in self.maps.items() if "rule" in one],
      "segments": plain(self.segments),
      "clusters": self.clusters,
      "parts": parts.number,
      "samples": local_settings(dataset, self.local).get("samples"),
      "explained_class": self.labels,
      "split": self.split,
      "images": len(images),
      "classes": list(dataset.classes),
    }

  @staticmethod
  def without_derived(result: Result) -> Result:
    """See `Study.without_derived`: `places` say where on `maps` each importance stands."""
    if "places" not in result.arrays:
      return result
    axes = {name: of for name, of in result.layout.axes.items() if name != "maps"}
    arrays = {name: array for name, array in result.arrays.items() if name != "maps"}
    layout = dataclasses.replace(result.layout, axes=axes)
    return dataclasses.replace(result, layout=layout, arrays=arrays)

  @staticmethod
  def with_derived(result: Result) -> Result:
    """See `Study.with_derived`."""
    arrays = result.arrays
    if "maps" in arrays:
      return result
    maps = arrays["importance"][:, :, 0][..., arrays["places"]]
    # A class without images has no map.
    has_images = np.asarray(arrays["pictures"].any(axis=(1, 2, 3)))[:, None, None]
    axes = {**result.layout.axes, "maps": MAP_AXES}
    return dataclasses.replace(
      result,
      layout=dataclasses.replace(result.layout, axes=axes),
      arrays={**arrays, "maps": np.where(has_images, maps, 0)},
    )

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(self.with_derived(result), styles)

  @property
  def _has_rules(self) -> bool:
    return any("rule" in one for one in self.maps.values())

  def _methods(self, dataset: Dataset) -> dict[str, Method]:
    return {
      name: read_method(
        name,
        settings,
        dataset,
        local=self.local,
        labels=self.labels,
        batch_size=self.batch_size,
      )
      for name, settings in self.maps.items()
    }

  def _gathered(self, found: list[list[Found]]) -> dict[str, np.ndarray]:
    def of_all(name: str, first: int) -> np.ndarray:
      """[model, seed, ...] with the networks' axes after the first ones."""
      values = np.array([[getattr(one, name) for one in of_seeds] for of_seeds in found])
      return np.moveaxis(values, (0, 1), (first, first + 1))

    arrays = {
      "importance": of_all("importance", 1),
      "overall": of_all("overall", 1),
      "explained": of_all("explained", 0),
      "rank_correlation": of_all("rank_correlation", 2),
      "stability": of_all("stability", 2),
      "specificity": of_all("specificity", 1),
    }
    if self._has_rules:
      arrays["fit"] = of_all("fit", 0)
    if self.clusters is not None:
      arrays["centers"] = of_all("centers", 0)
    return arrays

  def _shown(
    self, images: Split, parts: Parts, found: list[Found], dataset: Dataset
  ) -> dict[str, np.ndarray]:
    """The pictures of the report, and the maps of each network on them."""
    low, high = dataset.bounds
    classes, size = len(dataset.classes), dataset.image_shape[:2]
    pictures = np.zeros((classes, *dataset.image_shape), np.float32)
    maps = np.zeros((len(self.maps), len(found), classes, *size), np.float32)
    for c in range(classes):
      rows = np.flatnonzero(images.y == c)
      rows = rows if self.clusters is None else rows[:1]
      if not len(rows):
        continue
      pictures[c] = (images.x[rows].mean(axis=0) - low) / (high - low)
      for n, one in enumerate(found):
        of_pixels = parts.labels[rows[0]]
        if one.features is not None:
          of_pixels = one.features[rows[0]][of_pixels]
        maps[:, n, c] = one.importance[:, c][:, of_pixels]
    places = {"places": parts.labels[0]} if self.clusters is None else {}
    return {"pictures": pictures, "maps": maps, **places}


def _of_two_parts(dataset: Dataset, rule: Rule) -> Callable[..., Array]:
  """LIME's explanations of images in two halves, since what it refuses does not depend on parts."""
  explain = explainer(dataset, rule.local, parts=2, predicted=False)

  def of_images(key: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
    halves = jnp.arange(x.shape[1]) * 2 // x.shape[1]
    labels = jnp.broadcast_to(halves[:, None], x.shape[:3])
    found = explain(jax.random.split(key, len(x)), logits_fn, x, (y, labels))
    return jnp.asarray(found.coefficients)

  return of_images
