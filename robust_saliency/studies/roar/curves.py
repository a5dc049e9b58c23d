"""Curves of accuracy against the fraction of pixels that are removed."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax import Array

from robust_saliency.data import Split
from robust_saliency.studies.roar.removal import order_of_removal, without
from robust_saliency.studies.roar.retraining import Job, Retraining, fill_of

PROTOCOLS = ("ROAR", "KAR")
FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
# What pixels are ranked by, of training and of scored images [N, H, W].
Maps = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Curves:
  """How pixels are removed, and what is trained on the rest.

  Attributes:
    retraining: trains and scores.
    fractions: as of `Roar`, and so are the others.
    protocols: see `Roar`.
    fill: see `Roar`.
    noise: see `Roar`.
    retrainings: see `Roar`.
  """

  retraining: Retraining
  fractions: tuple[float, ...]
  protocols: tuple[str, ...] = PROTOCOLS
  fill: str | float = "channel_mean"
  noise: float = 0.0
  retrainings: int = 1

  def of(self, name: str, maps: Callable[[], Maps], key: Array, seed: int) -> np.ndarray:
    """Accuracies [protocol, fraction] without the pixels that maps say.

    Args:
      name: of the folder, of this seed alone; what is finished there is not trained again.
      maps: gives the maps, and is not called where all is finished.
      key: orders equal values.
      seed: of the explained network; one that all of its retrainings share.
    """
    return self._of(name, maps, key, seed, self.protocols)

  def of_random(self, name: str, maps: Callable[[], Maps], key: Array, seed: int) -> np.ndarray:
    """`of`, for maps that tell no pixel from another: one curve, which all protocols share.

    The same pixels are drawn whichever protocol asks, so that networks would be trained twice.
    """
    alone = self._of(name, maps, key, seed, self.protocols[:1])
    return np.repeat(alone, len(self.protocols), axis=0)

  def _of(
    self,
    name: str,
    maps: Callable[[], Maps],
    key: Array,
    seed: int,
    protocols: tuple[str, ...],
  ) -> np.ndarray:
    # Protocols come one after the other, and to sort takes as long as to train for a second.
    order = functools.lru_cache(maxsize=1)(lambda protocol: self._order(maps(), key, protocol))

    def changed(protocol: str, fraction: float) -> Maps:
      train, scored = (
        np.asarray(without(places, fraction, split.x, fill))
        for places, split, fill in zip(order(protocol), self._splits, self._fills, strict=True)
      )
      return train, scored

    return self._means(
      [
        [(f"{name}/{protocol}", f, functools.partial(changed, protocol, f)) for f in self.fractions]
        for protocol in protocols
      ],
      seed,
    )

  def of_masks(self, name: str, maps: Callable[[], Maps], key: Array, seed: int) -> np.ndarray:
    """Accuracies [fraction] on masks alone, 1 where a pixel is kept and else 0.

    They are ROAR's, or KAR's where that is the only protocol.

    Args:
      name: as of `of`.
      maps: as of `of`.
      key: as of `of`.
      seed: as of `of`.
    """
    protocol = "KAR" if self.protocols == ("KAR",) else "ROAR"
    order = functools.cache(lambda: self._order(maps(), key, protocol))
    ones = np.ones(self.retraining.train.x.shape[-1], np.float32)

    def masks(fraction: float) -> Maps:
      train, scored = (np.asarray(without(one, fraction, ones, 0 * ones)) for one in order())
      return train, scored

    return self._means(
      [[(f"{name}/masks", f, functools.partial(masks, f)) for f in self.fractions]], seed
    )[0]

  def unmodified(self, seed: int) -> float:
    """The accuracy on whole images."""
    whole = self.retraining.train.x, self.retraining.scored.x
    return float(self._means([[(f"unmodified/{seed}", 0.0, lambda: whole)]], seed)[0, 0])

  @property
  def _splits(self) -> tuple[Split, Split]:
    return self.retraining.train, self.retraining.scored

  @functools.cached_property
  def _fills(self) -> list[np.ndarray]:
    """What stands for removed pixels of both, the same for every curve."""
    train = self.retraining.train.x
    return [fill_of(one.x, train, self.fill) for one in self._splits]

  def _order(self, maps: Maps, key: Array, protocol: str) -> list[Array]:
    return [
      order_of_removal(one, of_split, keeps=protocol == "KAR", noise=self.noise)
      for one, of_split in zip(jax.random.split(key), maps, strict=True)
    ]

  def _means(
    self, places: Sequence[Sequence[tuple[str, float, Callable[[], Maps]]]], seed: int
  ) -> np.ndarray:
    """Means over retrainings of one seed, which all begin and see the images alike.

    Args:
      places: rows of (name, fraction, what gives the images).
      seed: as of `of`.
    """
    jobs = [
      Job(f"{name}/{float(fraction)!r}/{number}", images, seed * self.retrainings + number)
      for row in places
      for name, fraction, images in row
      for number in range(self.retrainings)
    ]
    shape = (len(places), len(places[0]), self.retrainings)
    return np.reshape(self.retraining.accuracies(jobs), shape).mean(axis=-1)
