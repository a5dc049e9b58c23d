"""Where a model's maps come from, and what is done to each once, before training."""

import dataclasses

import numpy as np

from robust_saliency.core import checks
from robust_saliency.core.settings import Fraction, NonNegative, Seed

# Maps that are taken into memory at a time.
CHUNK = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class MapSettings:
  """An entry of a model's `maps`.

  First values are permuted, then thresholded. Both happen once, before augmentation, so that a map
  is the same in every epoch.

  Attributes:
    study: the study of target maps that makes them; seed s of the model has those of its seed s.
    permuted: the share p of each map's values that change places: int(p d) random positions of its
      d values, over all channels, whose values are permuted among themselves, for each image anew.
    threshold: t of what is kept: values outside mean +- t standard deviations (unbiased) of their
      map; the others become 0. None keeps all.
    seed: with the model's own it fixes which positions those are.
  """

  study: str
  permuted: Fraction = 0.0
  threshold: NonNegative | None = None
  seed: Seed = 0


def prepared(maps: np.ndarray, settings: MapSettings, *, seed: int) -> np.ndarray:
  """The maps as a training is given them.

  Args:
    maps: [N, H, W, ...], in memory or on disk.
    settings: what is done to them.
    seed: of the training, 0 to 2**32 - 1.

  Returns:
    Maps of the same shape and type; those that came where nothing is done to them. A map depends on
    its own values and its place alone.

  >>> settings = MapSettings(study="teacher's", threshold=1.0)
  >>> prepared(np.array([[[[0.0], [0.0], [9.0], [-1.0]]]]), settings, seed=0).ravel().tolist()
  [0.0, 0.0, 9.0, 0.0]
  """
  if not settings.permuted and settings.threshold is None:
    return maps
  # Of NumPy's generators the one whose stream is fixed for ever.
  random = np.random.RandomState([settings.seed, seed])
  result = np.empty(maps.shape, maps.dtype)
  for i in range(0, len(maps), CHUNK):
    part = np.array(maps[i : i + CHUNK]).reshape(len(maps[i : i + CHUNK]), -1)
    if settings.permuted:
      part = permuted(part, settings.permuted, random)
    if settings.threshold is not None:
      part = thresholded(part, settings.threshold)
    result[i : i + CHUNK] = part.reshape(-1, *maps.shape[1:])
  return result


def permuted(maps: np.ndarray, fraction: float, random: np.random.RandomState) -> np.ndarray:
  """Permutes a fraction of each row's values among themselves.

  Args:
    maps: [N, d].
    fraction: p of int(p d) values.
    random: draws N d numbers, row after row.
  """
  moved = int(fraction * maps.shape[1])
  # The first of a random order of all places: which they are, and in which order.
  places = np.argsort(random.random_sample(maps.shape), axis=1, kind="stable")[:, :moved]
  values = np.take_along_axis(maps, np.sort(places, axis=1), axis=1)
  result = maps.copy()
  np.put_along_axis(result, places, values, axis=1)
  return result


def thresholded(maps: np.ndarray, threshold: float) -> np.ndarray:
  """Keeps the values of each row outside mean +- threshold unbiased standard deviations.

  Args:
    maps: [N, d].
    threshold: >= 0.

  Source: Noack, Ahern, Dou & Li 2021 (their code), where it is 1.
  """
  checks.non_negative(threshold=threshold)
  wide = maps.astype(np.float64)
  mean = wide.mean(axis=1, keepdims=True)
  variance = ((wide - mean) ** 2).sum(axis=1, keepdims=True) / max(maps.shape[1] - 1, 1)
  return np.where(np.abs(wide - mean) > threshold * np.sqrt(variance), maps, 0).astype(maps.dtype)
