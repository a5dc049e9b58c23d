"""How far numbers may be off: variances over networks and images, and bootstraps over images."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from robust_saliency.results.estimate import FEW_NETWORKS

RESAMPLES = 2000
NUMBERS_AT_ONCE = 2_000_000

Statistic = Callable[..., np.ndarray]  # of arrays [..., N], to [...]


def half_width(
  per_network: np.ndarray, image_variance: ArrayLike, images: float, confidence: float
) -> np.ndarray:
  """Half the interval of the mean of [..., S] numbers of networks, from three on.

  Args:
    per_network: one number per network.
    image_variance: B, [...]: what the images add to the variance of the mean.
    images: N.
    confidence: of the interval.
  """
  networks = per_network.shape[-1]
  of_seeds = per_network.var(axis=-1, ddof=1) / networks
  return student_half_width(of_seeds, image_variance, networks, images, confidence)


def student_half_width(
  of_seeds: ArrayLike, of_images: ArrayLike, networks: int, images: float, confidence: float
) -> np.ndarray:
  """t sqrt(A + B), with Student's t of Satterthwaite's degrees of freedom.

  Args:
    of_seeds: A, what the networks add to the variance of the mean [...].
    of_images: B, what the images add [...].
    networks: S, from 2 on.
    images: N.
    confidence: of the interval.
  """
  variance = np.asarray(of_seeds, np.float64) + np.asarray(of_images)
  part = divided(of_seeds, variance)
  freedom = 1 / (part**2 / (networks - 1) + (1 - part) ** 2 / max(images - 1, 1))
  quantile = special.stdtrit(np.where(variance > 0, freedom, 1.0), (1 + confidence) / 2)
  return quantile * np.sqrt(variance)


def over_networks(values: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
  """The interval from three networks on of the mean of [..., S, N]."""
  images = values.shape[-1]
  value = values.mean(axis=(-2, -1)) if images else np.full(values.shape[:-2], np.nan)
  if images < 2:
    return np.full_like(value, -np.inf), np.full_like(value, np.inf)
  of_images = values.mean(axis=-2).var(axis=-1, ddof=1) / images
  half = half_width(values.mean(axis=-1), of_images, images, confidence)
  return value - half, value + half


def over_images_or_networks(
  values: np.ndarray, fewest: int, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
  """Student's interval of the mean of what is no NaN in [S, N], over images alone for few S."""
  networks, images = values.shape
  here = ~np.isnan(values)
  per_network = np.nanmean(values, axis=1)
  # What each image adds to the mean over networks, which is a ratio of sums where some are missing.
  centred = np.where(here, values - per_network[:, None], 0.0)
  added = (centred / here.mean(axis=1, keepdims=True)).mean(axis=0)
  of_images = added.var(ddof=1) / images
  if networks > FEW_NETWORKS:
    half = half_width(per_network, of_images, fewest, confidence)
  else:
    half = special.stdtrit(fewest - 1, (1 + confidence) / 2) * np.sqrt(of_images)
  return per_network.mean() - half, per_network.mean() + half


def resampled_over_networks(
  statistic: Statistic, values: tuple[np.ndarray, ...], confidence: float
) -> tuple[np.ndarray, np.ndarray]:
  """The interval from three networks on of a statistic of [S, N], B from a bootstrap."""
  per_network, images = statistic(*values), values[0].shape[1]
  of_images = np.nanvar(bootstrap(statistic, values).mean(axis=1))
  half = half_width(per_network, of_images, images, confidence)
  return per_network.mean() - half, per_network.mean() + half


def bootstrap(statistic: Statistic, values: tuple[np.ndarray, ...]) -> np.ndarray:
  """A statistic of [S, N] on images drawn with replacement, the same for all networks: [R, S]."""
  random = np.random.default_rng(0)
  networks, images = values[0].shape
  at_once = max(1, min(RESAMPLES, NUMBERS_AT_ONCE // images))
  resampled = []
  for first in range(0, RESAMPLES, at_once):
    drawn = random.integers(images, size=(min(at_once, RESAMPLES - first), images))
    of_networks = [statistic(*(one[s][drawn] for one in values)) for s in range(networks)]
    resampled.append(np.stack(of_networks, axis=1))
  return np.concatenate(resampled)


def percentiles(resampled: np.ndarray, images: int, confidence: float) -> tuple[float, float]:
  """The ends of a percentile interval, moved outwards as Student's are from the normal's."""
  quantile = special.stdtrit(images - 1, (1 + confidence) / 2)
  level = float(special.ndtr(-np.sqrt(images / (images - 1)) * quantile))
  resampled = resampled[~np.isnan(resampled)]
  low, high = np.quantile(resampled, [level, 1 - level])
  return float(low), float(high)


def divided(part: ArrayLike, whole: ArrayLike) -> np.ndarray:
  """Part / whole, NaN where there is nothing."""
  part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
  return np.where(whole > 0, part / np.where(whole > 0, whole, 1), np.nan)


def mean_of_known(values: np.ndarray) -> np.ndarray:
  """Means over the last axis of all but NaN; NaN where nothing is known, infinite where some is.

  >>> nothing = np.full(2, np.nan)
  >>> mean_of_known(np.array([[1.0, np.nan, 3.0], [*nothing, np.inf], [*nothing, np.nan]])).tolist()
  [2.0, inf, nan]
  """
  known = ~np.isnan(values)
  return divided(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def differences(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
  """Ours - theirs, infinite where one of them is.

  Infinity less infinity is no number, and would pass for something that does not count.

  >>> differences(np.array([2.0, np.inf, np.nan]), np.array([1.0, np.inf, 1.0])).tolist()
  [1.0, inf, nan]
  """
  endless = np.isinf(ours) | np.isinf(theirs)
  return np.where(endless, np.inf, ours - np.where(endless, 0.0, theirs))


def outer(
  low: ArrayLike, high: ArrayLike, other_low: ArrayLike, other_high: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
  """The ends of the smallest interval that holds both."""
  return np.minimum(low, other_low), np.maximum(high, other_high)
