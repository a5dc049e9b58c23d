"""ROAR and KAR of maps that anything has made: no experiment, no network of ours."""

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from robust_saliency.core import Key, checks, files
from robust_saliency.data import Dataset, Split
from robust_saliency.studies.batches import key_for
from robust_saliency.studies.roar.curves import FRACTIONS, PROTOCOLS, Curves
from robust_saliency.studies.roar.removal import CONTROLS
from robust_saliency.studies.roar.retraining import Retraining
from robust_saliency.studies.roar.scores import area_over_control


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
    seeds: of the retrainings, which begin and see the images alike whatever is removed; each draws
      its own lots among equal values.
    fill: what stands in their place: "channel_mean", "blur" or a number.
    noise: see `attributions.faithfulness.important_pixels`.
    scored: the split that is scored, "test" or "validation".
    directory: where finished retrainings are kept, for the same call to resume, and those of random
      pixels for any with other maps alone; None for nowhere.

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
  checks.count(0, **{f"seeds[{place}]": seed for place, seed in enumerate(seeds)})
  with contextlib.ExitStack() as stack:
    if directory is None:
      directory = stack.enter_context(tempfile.TemporaryDirectory())
    retrained = Retraining(retraining, dataset, Path(directory), scored=scored)
    curves = Curves(retrained, tuple(fractions), tuple(protocols), fill, noise)
    splits = {"training": retrained.train, scored: retrained.scored}
    own = [
      _ranked(given, split, name) for (name, split), given in zip(splits.items(), maps, strict=True)
    ]
    blind = [CONTROLS["random"](split.x) for split in splits.values()]
    images = [array for split in splits.values() for array in (split.x, split.y)]
    settings = {"retraining": dict(retraining), "fill": fill, "noise": noise,
                "classes": dataset.classes, "bounds": list(dataset.bounds)}  # fmt: skip
    common = _digest(np.asarray(jax.random.key_data(key)), *images, settings=settings)

    def of_each_seed(name: str, ranked: list[np.ndarray]) -> dict[str, np.ndarray]:
      pair = ranked[0], ranked[1]
      place = f"{common}/{name}-{_digest(*pair)}"
      of = curves.of_random if name == "random" else curves.of
      lots = [jax.random.fold_in(key_for(key, name), seed) for seed in seeds]
      found = np.array(
        [of(f"{place}/{s}", lambda: pair, drawn, s) for drawn, s in zip(lots, seeds, strict=True)]
      )
      return {protocol: found[:, p] for p, protocol in enumerate(protocols)}

    accuracy, random = of_each_seed("maps", own), of_each_seed("random", blind)
  places = np.array(fractions, np.float64)
  score = {
    one: area_over_control(accuracy[one], random[one], places, keeps=one == "KAR")
    for one in protocols
  }
  return Removal(places, accuracy, random, score)


def _ranked(maps: Array | np.ndarray, split: Split, name: str) -> np.ndarray:
  """What a split's pixels are ranked by, float32 [N, H, W]."""
  values = np.asarray(maps, np.float32)
  if values.shape[:3] != split.x.shape[:3] or values.ndim not in (3, 4):
    size = ", ".join(map(str, split.x.shape[:3]))
    raise ValueError(f"maps of the {name} images must be [{size}], got shape {values.shape}")
  return values.sum(axis=-1) if values.ndim == 4 else values


def _digest(*arrays: np.ndarray, settings: Mapping[str, Any] | None = None) -> str:
  """A folder's name, which is another for any other number or setting."""
  parts = [files.digest_of_array(one) for one in arrays]
  return files.digest(files.json_text([settings, *parts]).encode())[:16]
