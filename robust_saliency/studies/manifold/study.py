"""Manifold: whether the gradients of robust networks lead along the images' manifold."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import numpy as np
from jax import Array

from robust_saliency.core import checks, files
from robust_saliency.core.settings import Count, Names
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.models.vae_gan import VAEGAN
from robust_saliency.results.gates import GATES
from robust_saliency.results.result import Layout, Result
from robust_saliency.results.uncertainty import mean_of_known
from robust_saliency.studies.batches import Networks, first_examples, positions_of_each_class
from robust_saliency.studies.manifold import page
from robust_saliency.studies.manifold.measuring import Measuring
from robust_saliency.studies.manifold.quantities import (
  chance_apart,
  chance_falling,
  counted,
  gates_of,
  mean_over,
  ratios,
)
from robust_saliency.studies.methods import attack_on, describe_attack
from robust_saliency.studies.study import Measured, Study

SAMPLED, MEAN, PCA = "VAE-GAN, sampled", "VAE-GAN, mean", "PCA"
MANIFOLDS = (SAMPLED, MEAN, PCA)
TANGENTS = ("VAE-GAN", PCA)
SAMPLES = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifold(Study):
  """How far adversarial images of each network lie from a manifold of natural images.

  An attack with a large radius follows a network's loss gradient; if what it ends at lies nearer
  the manifold, the gradient leads along it. The distance is that of an image from what a VAE-GAN
  makes of it, by a sampled code as in the paper or by the mean of its codes, or from the plane of
  the training images' principal components. It is of the networks of the first seed; several of a
  kind are several models.

  Attributes:
    autoencoder: the model that is a VAE-GAN.
    standards: networks that were trained without attacks.
    panels: panel -> networks that were trained against an attack, in the order of its strength.
    compared: panel -> another panel, as long, that is claimed to lie farther.
    attack: an attack's config, its epsilon and norm among its settings.
    components: of the plane.
    examples: how many test images, from the first; None for all.
    tangent_examples: how many of them have their gradients split.
    batch_size: images per call.

  Arrays:
    natural: float64 [manifold, example], the distance of the test images themselves.
    distance: float64 [manifold, model, seed, example], of each network's adversarial images.
    fooled: bool [model, seed, example], whether the network is right about the image and wrong
      about its adversarial image.
    mean_distance: float64 [manifold, network], over images of which all networks of a panel are
      fooled, like all below.
    ratio: float64 [manifold, network], (d - d of the images) / (d of the standard networks - d of
      the images).
    gap: float64 [manifold, network, standard], of the mean distances.
    beyond: float64 [manifold, model, seed, example], the distance of an adversarial image minus
      that of its image; NaN where the image does not count.
    nearer: float64 [manifold, pair], the ratio of a network of a compared panel minus that of the
      network in the same place of the other.
    chance_apart: float64 [manifold], how likely standard networks' mean distances, of images of
      which all networks are fooled, would exceed the others' so far by chance.
    chance_falling: float64 [manifold], how likely so many panels would fall with every strength by
      chance.
    inside: float64 [tangent, model, seed, example], the share of the squared loss gradient, of the
      predicted class at the image itself, that lies in the tangent space of the manifold at the
      image's projection.
    aligned: float64 [tangent, network, standard], of its means.
    images, gradients, reconstructions, samples: what the page shows.

  Where natural images lie not below half of the standard networks' adversarial images, a VAE-GAN
  does not know the images well enough: claims about its `gap`, `beyond`, `nearer` and both chances
  are not judged.

  Source: Kim, Seo & Jeon 2019, section 2.1; the plane, the tangent spaces, the images that count
  and the condition are ours.
  """

  kind: ClassVar[str] = "manifold"

  autoencoder: str
  standards: Names
  panels: Mapping[str, Names]
  attack: Mapping[str, Any]
  compared: Mapping[str, str] = dataclasses.field(default_factory=dict)
  components: Count = 10
  examples: Count | None = None
  tangent_examples: Count = 200
  batch_size: Count = 250

  def networks(self, trained: Iterable[str]) -> tuple[str, ...]:
    """See `Study.networks`: those of its own fields."""
    return (*self._models, self.autoencoder)

  def without_classes(self) -> tuple[str, ...]:
    """See `Study.without_classes`."""
    return (self.autoencoder,)

  @property
  def _models(self) -> tuple[str, ...]:
    return (*self.standards, *self._trained)

  @property
  def _trained(self) -> tuple[str, ...]:
    return tuple(name for panel in self.panels.values() for name in panel)

  @property
  def _pairs(self) -> dict[str, tuple[str, str]]:
    return {
      f"{ours}, {theirs}": (ours, theirs)
      for panel, other in self.compared.items()
      for ours, theirs in zip(self.panels[panel], self.panels[other], strict=True)
    }

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`; its only seed is the first."""
    of_model, picture = ("model", "seed", "example"), ("picture", "height", "width", "channel")
    return Layout(
      {
        "natural": ("manifold", "example"),
        "distance": ("manifold", *of_model),
        "fooled": of_model,
        "mean_distance": ("manifold", "network"),
        "ratio": ("manifold", "network"),
        "gap": ("manifold", "network", "standard"),
        "beyond": ("manifold", *of_model),
        "nearer": ("manifold", "pair"),
        "chance_apart": ("manifold",),
        "chance_falling": ("manifold",),
        "inside": ("tangent", *of_model),
        "aligned": ("tangent", "network", "standard"),
        "gradients": ("model", *picture),
        "predictions": ("model", "picture"),
        "images": picture,
        "reconstructions": picture,
        "samples": ("sample", *picture[1:]),
      },
      {
        "manifold": MANIFOLDS,
        "tangent": TANGENTS,
        "model": self._models,
        "network": self._trained,
        "standard": self.standards,
        "pair": tuple(self._pairs),
        "seed": seeds[:1],
      },
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    with checks.naming("attack"):
      return {"attack": attack_on(dataset, self.attack)}

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    if self.models is not None:
      raise ValueError(
        "models of a manifold are its autoencoder, standards and panels; leave it out"
      )
    if not self.panels:
      raise ValueError("panels must have at least one entry, got none")
    if len(set(self._models)) < len(self._models):
      raise ValueError(
        f"panels and standards must have networks that differ, got {', '.join(self._models)}"
      )
    for panel, other in self.compared.items():
      for one in (panel, other):
        checks.one_of(one, self.panels, argument="panels of compared")
      if len(self.panels[panel]) != len(self.panels[other]):
        raise ValueError(
          f"compared must have panels of one length, {panel!r} and {other!r} are not"
        )
    if not isinstance(modules[self.autoencoder], VAEGAN):
      raise ValueError(
        f"autoencoder must be a model of the trainer 'vae_gan', got {self.autoencoder!r}"
      )
    pixels = int(np.prod(dataset.image_shape))
    if self.components > pixels:
      raise ValueError(f"components must be at most {pixels}, got {self.components}")
    if self.examples is not None:
      first_examples(dataset.test, self.examples)
    super().check({one: modules[one] for one in self._models}, dataset)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    test = first_examples(dataset.test, self.examples)
    measuring = Measuring(
      networks[self.autoencoder][0],
      dataset,
      test,
      attack=attack_on(dataset, self.attack),
      components=self.components,
      tangents=min(self.tangent_examples, len(test)),
      pictures=positions_of_each_class(test, len(dataset.classes), 1),
      batch_size=self.batch_size,
      key=key,
      directory=directory,
    )
    stems = files.unique_slugs(self._models)
    found = [
      measuring.of_network(stem, networks[name][0])
      for stem, name in zip(stems, self._models, strict=True)
    ]
    stacked = jax.tree.map(lambda *of_all: np.stack(of_all), *found)
    low, high = dataset.bounds
    arrays = {
      "natural": measuring.natural,
      # The axis of the only seed.
      "distance": stacked["distance"].swapaxes(0, 1)[:, :, None],
      "fooled": stacked["fooled"][:, None],
      "inside": stacked["inside"].swapaxes(0, 1)[:, :, None],
      "gradients": stacked["gradients"],
      "predictions": stacked["predictions"],
      **{
        name: ((images - low) / (high - low)).astype(np.float16)
        for name, images in measuring.pictures(SAMPLES).items()
      },
    }
    derived = self._derived(arrays)
    return {**arrays, "labels": test.y[measuring.shown], **derived}, {
      "attack": describe_attack(self.kind, self.attack),
      "epsilon": self.attack.get("epsilon"),
      "components": self.components,
      "examples": len(test),
      "tangent_examples": arrays["inside"].shape[-1],
      "shares_by_chance": measuring.shares_by_chance,
      "classes": list(dataset.classes),
      "panels": {panel: list(of) for panel, of in self.panels.items()},
      GATES: _gates({**arrays, **derived}),
    }

  def after_divergence(self, result: Result, networks: Networks) -> Result:
    """See `Study.after_divergence`."""
    arrays = {**result.arrays}
    if networks[self.autoencoder][0].diverged:
      for name, rows in {"natural": 2, "distance": 2, "inside": 1}.items():
        arrays[name] = arrays[name].copy()
        arrays[name][:rows] = np.nan
    arrays |= self._derived(arrays)
    metadata = {**result.metadata, GATES: _gates(arrays)}
    return dataclasses.replace(result, arrays=arrays, metadata=metadata)

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)

  def _derived(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What follows from distances."""
    natural, distance = arrays["natural"], arrays["distance"][:, :, 0]
    fooled = np.nan_to_num(arrays["fooled"][:, 0].astype(np.float64)) > 0
    models, standards = list(self._models), len(self.standards)
    counts = counted(fooled, models, self.standards, self.panels)
    shape = (len(MANIFOLDS), len(self._trained))
    means, ratio = np.empty(shape), np.empty(shape)
    gap = np.empty((*shape, standards))
    beyond = np.where(counts[""], distance - natural[:, None], np.nan)
    places = {name: place for place, name in enumerate(self._trained)}
    for panel, names in self.panels.items():
      count = counts[panel]
      of_standards = mean_over(distance[:, :standards], count)
      for name in names:
        n, m = places[name], models.index(name)
        means[:, n] = mean_over(distance[:, m], count)
        gap[:, n] = means[:, n, None] - of_standards
        ratio[:, n] = ratios(means[:, n], of_standards.mean(axis=1), mean_over(natural, count))
        beyond[:, m] = np.where(count, distance[:, m] - natural, np.nan)
    nearer = np.array(
      [ratio[:, places[ours]] - ratio[:, places[theirs]] for ours, theirs in self._pairs.values()]
    )
    falling = [
      chance_falling(
        {p: of[[places[one] for one in names]].tolist() for p, names in self.panels.items()}
      )
      for of in means
    ]
    of_all = mean_over(distance, np.asarray(fooled.all(axis=0)))
    apart = [chance_apart(of[standards:], of[:standards]) for of in of_all]
    inside = mean_of_known(arrays["inside"][:, :, 0])
    return {
      "gap": gap,
      "beyond": beyond[:, :, None],
      "nearer": nearer.reshape(-1, len(MANIFOLDS)).T,
      "chance_apart": np.array(apart),
      "chance_falling": np.array(falling),
      "mean_distance": means,
      "ratio": ratio,
      "aligned": inside[:, standards:, None] - inside[:, None, :standards],
      # First of the images of which they are fooled themselves, then of each panel's.
      "of_standards": np.stack(
        [mean_over(distance[:, :standards], count) for count in counts.values()], axis=1
      ),
      "counts": np.array([counts[panel] for panel in self.panels]),
    }


def _gates(arrays: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
  """What the VAE-GAN may not judge; the plane, which knows no images, always may."""
  vae_gans = [MANIFOLDS.index(one) for one in MANIFOLDS if one != PCA]
  return gates_of(
    [MANIFOLDS[one] for one in vae_gans],
    arrays["natural"][vae_gans].mean(axis=1),
    arrays["of_standards"][vae_gans, 0].mean(axis=1),
  )
