"""ROAR and KAR of maps that anything has made: no experiment, no network of ours."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax import Array

from robust_saliency.core import Key, checks
from robust_saliency.data import Dataset
from robust_saliency.studies.roar.curves import PROTOCOLS, Curves
from robust_saliency.studies.roar.removal import CONTROLS
from robust_saliency.studies.roar.retraining import Retraining
from robust_saliency.studies.roar.scores import area_over_control

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)


class Removal(NamedTuple):
  """Accuracies of retrained networks.

  Attributes:
    fractions: of the pixels that were removed [F].
    accuracy: protocol -> [seed, F], without the pixels that the maps say.
    random: protocol -> [seed, F], without as many pixels drawn at random.
    score: protocol -> [seed], the area between both, positive where the map is better.
  """

  fractions: np.ndarray
  accuracy: dict[str, np.ndarray]
  random: dict[str, np.ndarray]
  score: dict[str, np.ndarray]


def remove_and_retrain(
  key: Key,
  dataset: Dataset,
  maps: tuple[Array | np.ndarray, Array | np.ndarray],
  *,
  retraining: Mapping[str, Any],
  fractions: Sequence[float] = FRACTIONS,
  protocols: Sequence[str] = PROTOCOLS,
  seeds: Sequence[int] = (0,),
  fill: str | float = "channel_mean",
  noise: float = 0.0,
  scored: str = "test",
  directory: str | Path | None = None,
) -> Removal:
  """Trains networks anew on images without the pixels that maps call important.

  Args:
    key: orders equal values of the maps.
    dataset: its training images, and those that are scored.
    maps: of the training images and of the scored ones, [N, H, W] or [N, H, W, C], whose channels
      are summed: the larger, the more important. Give absolute values where no sign is meant.
    retraining: the fields of `training.Recipe`.
    fractions: of the pixels that are removed.
    protocols: "ROAR", which removes the most important, "KAR", which keeps them, or both.
    seeds: of the retrainings, which begin and see the images alike whatever is removed.
    fill: what stands in their place: "channel_mean", "blur" or a number.
    noise: see `attributions.faithfulness.important_pixels`.
    scored: the split that is scored, "test" or "validation".
    directory: where finished retrainings are kept, for the same call to resume; None for nowhere.

  Returns:
    See `Removal`.

  Raises:
    ValueError, TypeError: for maps of other images, or a recipe, fraction, protocol, fill or split
      that is none.

  Source: see `Roar`.
  """
  for protocol in protocols:
    checks.one_of(protocol, PROTOCOLS, argument="protocols")
  checks.fraction(fractions=np.asarray(fractions, np.float64))
  folder = Path(tempfile.mkdtemp() if directory is None else directory)
  retrained = Retraining(retraining, dataset, folder, scored=scored)
  curves = Curves(retrained, tuple(fractions), tuple(protocols), fill, noise)
  splits = {"training": retrained.train, scored: retrained.scored}
  own = []
  for (name, split), given in zip(splits.items(), maps, strict=True):
    values = np.asarray(given, np.float32)
    if values.shape[:3] != split.x.shape[:3] or values.ndim not in (3, 4):
      size = ", ".join(map(str, split.x.shape[:3]))
      raise ValueError(f"maps of the {name} images must be [{size}], got shape {values.shape}")
    own.append(values.sum(axis=-1) if values.ndim == 4 else values)
  blind = [CONTROLS["random"](split.x) for split in splits.values()]

  def of_each_seed(name: str, ranked: list[np.ndarray]) -> dict[str, np.ndarray]:
    pair = ranked[0], ranked[1]
    found = np.array([curves.of(f"{name}/{s}", lambda: pair, key, s) for s in seeds])
    return {protocol: found[:, p] for p, protocol in enumerate(protocols)}

  accuracy, random = of_each_seed("maps", own), of_each_seed("random", blind)
  places = np.array(fractions, np.float64)
  score = {
    one: area_over_control(accuracy[one], random[one], places, keeps=one == "KAR")
    for one in protocols
  }
  return Removal(places, accuracy, random, score)
