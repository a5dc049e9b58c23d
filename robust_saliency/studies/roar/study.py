"""ROAR and KAR: how much a network can still learn from images without their important pixels."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import flax.linen as nn
import jax
import numpy as np
from jax import Array

from robust_saliency.core import checks, files
from robust_saliency.core.settings import Count, Distinct, Fraction, Names, NonNegative
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Evaluator, Networks, key_for, predict
from robust_saliency.studies.class_maps import ClassMaps
from robust_saliency.studies.roar import page
from robust_saliency.studies.roar.curves import FRACTIONS, PROTOCOLS, Curves
from robust_saliency.studies.roar.rankings import importances_of, masks_of, rankings_of
from robust_saliency.studies.roar.removal import CONTROLS
from robust_saliency.studies.roar.retraining import FILLS, Retraining
from robust_saliency.studies.roar.scores import area_over_control, slopes
from robust_saliency.studies.study import Measured, Study

Maps = Annotated[Mapping[str, Mapping[str, Any]], Distinct()]
Fractions = Annotated[tuple[Fraction, ...], Distinct()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Roar(Study):
  """Removes the pixels that maps call important (ROAR) or all others (KAR), and trains anew.

  If a map is right, a network that is trained without its pixels is less accurate than one that
  lacks as many others (remove and retrain); and one that has nothing but them is more accurate
  (keep and retrain). Pixels of training and scored images are removed by the same network's maps.

  Retrainings of a seed share initialisation and data order, whatever is removed; each is finished
  by itself, and a study that is cut off resumes in it.

  Attributes:
    maps: name -> an attribution's settings, and "label", "absolute", "smoothing" and "models"
      (the networks that it explains, if not all), see `importance.Importance`. Smoothing is the
      control for whether a map is better, or merely smoother. Or {"study": one of kind
      "class_maps", "map": one of its maps, "of": "all classes" or "class"}, see
      `class_maps.painting.MaskSettings`: one mask for all images, or one for each class, whose
      shape says which class it is (see `mask_only`).
    retraining: what is trained anew, the fields of `training.Recipe`.
    fractions: of the pixels that are removed.
    protocols: "ROAR", "KAR" or both.
    controls: what else pixels are ranked by: "random" is what scores are measured against, and
      "edges" the images' own steepness.
    mask_only: map -> networks whose masks are also learnt from alone, 1 where a pixel is kept: what
      their shape says of the class, without any pixel. Masks are ROAR's, or KAR's where that is
      the only protocol.
    families: family -> network -> its number, the strength of adversarial training say; for
      `slope` and `tradeoff`.
    fill: what stands where pixels are removed: "channel_mean" over the training images, "blur", or
      a number.
    labels: the class whose maps are meant, "predicted" or, for images with their classes, "true":
      then the scored images' masks know what is to be predicted.
    noise: see `attributions.faithfulness.important_pixels`; the authors' code has 1e-8.
    retrainings: of each network and fraction, with seeds of their own, averaged.
    train_examples: how many training images, from the first; None for all.
    scored: the split that accuracies are of, "test" or "validation".
    scored_examples: how many of its images, from the first; None for all.
    batch_size: images per call.

  Arrays, of accuracies on the scored images:
    accuracy: float64 [protocol, map, model, seed, fraction]; NaN where a retraining has
      diverged, and for networks that a map is not made of.
    control: float64 [protocol, control, seed, fraction].
    mask_only: float64 [mask, model, seed, fraction]; NaN where none are learnt.
    score: float64 [protocol, map, model, seed]: the area between the curve of random pixels and
      the map's, over fractions from 0 to 1, positive where the map is better than chance.
    diffroar: float64 [map, model, seed, fraction]: KAR's accuracy minus ROAR's, which is that
      of a network that has the most important pixels minus that of one with as few others.
    slope: float64 [protocol, map, family, seed], of the score against the networks' numbers, by
      least squares.
    tradeoff: float64, likewise, of the score against `clean`.
    unmodified: float64 [seed], of networks that are retrained on whole images.
    clean: float64 [model, seed], of the explained networks themselves.

  Source: Hooker et al. 2019, "A benchmark for interpretability methods in deep neural networks";
  Kim, Seo & Jeon 2019, section 3, for KAR and the scores; Shah et al. 2021, "Do input gradients
  highlight discriminative features?", for DiffROAR; Song et al. 2023, arXiv 2304.13836, for
  smoothing as a control.
  """

  kind: ClassVar[str] = "roar"
  version: ClassVar[int] = 2

  maps: Maps
  retraining: Mapping[str, Any]
  fractions: Fractions = FRACTIONS
  protocols: tuple[Literal["ROAR", "KAR"], ...] = ("ROAR", "KAR")
  controls: tuple[Literal["random", "edges"], ...] = ("random",)
  mask_only: Mapping[str, Names] = dataclasses.field(default_factory=dict)
  families: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
  fill: Any = "channel_mean"
  labels: Literal["predicted", "true"] = "predicted"
  noise: NonNegative = 0.0
  retrainings: Count = 1
  train_examples: Count | None = None
  scored: Literal["test", "validation"] = "test"
  scored_examples: Count | None = None
  batch_size: Count = 250

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    of_network = ("model", "seed")
    axes = {
      "accuracy": ("protocol", "map", *of_network, "fraction"),
      "control": ("protocol", "control", "seed", "fraction"),
      "score": ("protocol", "map", *of_network),
      "unmodified": ("seed",),
      "clean": of_network,
    }
    if self.mask_only:
      axes["mask_only"] = ("mask", *of_network, "fraction")
    if set(self.protocols) == set(PROTOCOLS):
      axes["diffroar"] = ("map", *of_network, "fraction")
    if self.families:
      axes |= dict.fromkeys(("slope", "tradeoff"), ("protocol", "map", "family", "seed"))
    images = self.scored_examples or len(dataset.splits.get(self.scored, dataset.test))
    return Layout(
      axes,
      {
        "protocol": self.protocols,
        "map": tuple(self.maps),
        "control": self.controls,
        "mask": tuple(self.mask_only),
        "family": tuple(self.families),
        "model": networks,
        "seed": seeds,
        "fraction": self.fractions,
      },
      images_each=dict.fromkeys(
        ("accuracy", "control", "mask_only", "unmodified", "clean"), images
      ),
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    found = importances_of(self.maps, dataset, labels=self.labels, batch_size=self.batch_size)
    return {f"maps.{name}": one.attribution for name, one in found.items()}

  def needed_studies(self) -> tuple[str, ...]:
    """See `Study.needed_studies`."""
    return tuple(dict.fromkeys(one.study for one in masks_of(self.maps).values()))

  def check_needed(self, studies: Mapping[str, Study], trained: Iterable[str]) -> None:
    """See `Study.check_needed`."""
    own = self.networks(trained)
    for name, one in masks_of(self.maps).items():
      study = studies[one.study]
      if not isinstance(study, ClassMaps):
        raise ValueError(
          f"maps.{name}.study must be of kind {ClassMaps.kind!r}, got {one.study!r} of kind "
          f"{study.kind!r}"
        )
      checks.one_of(one.map, study.maps, argument=f"maps.{name}.map")
      for model in one.models or own:
        checks.one_of(model, study.networks(trained), argument=f"networks of maps.{name}.study")

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    for field in ("protocols", "controls"):
      given = getattr(self, field)
      if len(set(given)) < len(given):
        raise ValueError(f"{field} must have entries that differ, got {', '.join(given)}")
    if not self.protocols or "random" not in self.controls:
      raise ValueError(
        "protocols must have an entry and controls must have 'random', which scores are measured "
        f"against; got {self.protocols} and {self.controls}"
      )
    for name, masked in self.mask_only.items():
      checks.one_of(name, self.maps, argument="mask_only")
      for model in masked:
        checks.one_of(model, modules, argument=f"networks of mask_only.{name}")
    for name, family in self.families.items():
      for model in family:
        checks.one_of(model, modules, argument=f"networks of families.{name}")
      if len(set(family.values())) < 2:
        raise ValueError(f"families.{name} must have two different numbers, got {dict(family)}")
    for name, settings in self.maps.items():
      for model in self._explained(name, settings, tuple(modules)):
        checks.one_of(model, modules, argument=f"models of maps.{name}")
    if not isinstance(self.fill, (int, float)) or isinstance(self.fill, bool):
      if not isinstance(self.fill, str):
        raise TypeError(f"fill must be a number or one of {', '.join(FILLS)}; got {self.fill!r}")
      checks.one_of(self.fill, FILLS, argument="fill")
    super().check(modules, dataset)
    retraining = self._retraining(dataset, Path())
    with checks.naming("retraining"):
      retraining.network.check()

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    return self.measure_after({}, networks, dataset, key, directory)

  def measure_after(
    self,
    results: Mapping[str, Result],
    networks: Networks,
    dataset: Dataset,
    key: Array,
    directory: Path,
  ) -> Measured:
    """See `Study.measure_after`."""
    retraining = self._retraining(dataset, directory)
    curves = Curves(
      retraining, self.fractions, self.protocols, self.fill, self.noise, self.retrainings
    )
    splits = (retraining.train, retraining.scored)
    arrays = self._empty(networks)
    seeds = [network.seed for network in next(iter(networks.values()))]
    for s, seed in enumerate(seeds):
      arrays["unmodified"][s] = curves.unmodified(seed)
      for c, control in enumerate(self.controls):
        blind = functools.cache(lambda of=CONTROLS[control]: tuple(of(one.x) for one in splits))
        drawn = jax.random.fold_in(key_for(key, control), s)
        of = curves.of_random if control == "random" else curves.of
        arrays["control"][:, c, s] = of(f"{control}/{seed}", blind, drawn, seed)
    rankings = rankings_of(
      self.maps, results, dataset, labels=self.labels, batch_size=self.batch_size
    )
    of_maps, of_models = files.unique_slugs(rankings), files.unique_slugs(networks)
    for m, (method, ranking) in enumerate(rankings.items()):
      for n, s, network in self._networks(method, networks):
        drawn = jax.random.fold_in(key_for(key, method), s)
        maps = functools.cache(
          lambda of=ranking, n=n, by=network, drawn=drawn: tuple(
            of(list(networks)[n], by, drawn, one) for one in splits
          )
        )
        name = f"{of_maps[m]}/{of_models[n]}/{network.seed}"
        arrays["accuracy"][:, m, n, s] = curves.of(name, maps, drawn, network.seed)
        if list(networks)[n] in self.mask_only.get(method, ()):
          of_masks = curves.of_masks(name, maps, drawn, network.seed)
          arrays["mask_only"][list(self.mask_only).index(method), n, s] = of_masks
    read = Evaluator(predict, batch_size=self.batch_size)
    scored = retraining.scored
    for n, of_seeds in enumerate(networks.values()):
      for s, network in enumerate(of_seeds):
        arrays["clean"][n, s] = np.mean(read(network, key, scored.x, scored.y) == scored.y)
    return {**arrays, **self._derived(arrays, tuple(networks))}, {
      "labels": {name: one.get("label", name) for name, one in self.maps.items()},
      "scored": self.scored,
      "images": len(scored),
      "trained_on": len(retraining.train),
      "fill": self.fill if isinstance(self.fill, str) else f"the number {self.fill:g}",
      "explained_class": self.labels,
      "of_classes": {name: one.of for name, one in masks_of(self.maps).items()},
    }

  def after_divergence(self, result: Result, networks: Networks) -> Result:
    """See `Study.after_divergence`."""
    return dataclasses.replace(
      result, arrays={**result.arrays, **self._derived(result.arrays, tuple(networks))}
    )

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)

  def _retraining(self, dataset: Dataset, directory: Path) -> Retraining:
    return Retraining(
      self.retraining,
      dataset,
      directory,
      scored=self.scored,
      examples=self.train_examples,
      scored_examples=self.scored_examples,
      batch_size=self.batch_size,
    )

  def _explained(
    self, method: str, settings: Mapping[str, Any], networks: tuple[str, ...]
  ) -> tuple[str, ...]:
    """The networks that a method explains."""
    named = settings.get("models", networks)
    if isinstance(named, str) or not all(isinstance(one, str) for one in named):
      raise TypeError(f"models of maps.{method} must be a list of names, got {named!r}")
    return tuple(named)

  def _networks(self, method: str, networks: Networks) -> Iterator[tuple[int, int, Any]]:
    """(place, place of its seed, network) of those that a method explains."""
    explained = self._explained(method, self.maps[method], tuple(networks))
    for n, (name, of_seeds) in enumerate(networks.items()):
      if name in explained:
        yield from ((n, s, network) for s, network in enumerate(of_seeds))

  def _empty(self, networks: Networks) -> dict[str, np.ndarray]:
    """The measured arrays, full of NaN."""
    seeds = len(next(iter(networks.values())))
    fractions, protocols = len(self.fractions), len(self.protocols)
    of_networks = (len(networks), seeds)
    shapes: dict[str, tuple[int, ...]] = {
      "accuracy": (protocols, len(self.maps), *of_networks, fractions),
      "control": (protocols, len(self.controls), seeds, fractions),
      "unmodified": (seeds,),
      "clean": of_networks,
    }
    if self.mask_only:
      shapes["mask_only"] = (len(self.mask_only), *of_networks, fractions)
    return {name: np.full(shape, np.nan) for name, shape in shapes.items()}

  def _derived(
    self, arrays: Mapping[str, np.ndarray], models: tuple[str, ...]
  ) -> dict[str, np.ndarray]:
    accuracy = arrays["accuracy"]
    random = arrays["control"][:, self.controls.index("random")]
    score = [
      area_over_control(of_map, by_chance, np.array(self.fractions), keeps=protocol == "KAR")
      for protocol, of_map, by_chance in zip(self.protocols, accuracy, random, strict=True)
    ]
    derived = {"score": np.array(score)}
    if set(self.protocols) == set(PROTOCOLS):
      kept, without = (accuracy[self.protocols.index(one)] for one in ("KAR", "ROAR"))
      derived["diffroar"] = kept - without
    if self.families:
      derived |= slopes(derived["score"], arrays["clean"], models, self.families)
    return derived
