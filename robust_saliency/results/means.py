"""Numbers of any size: means, medians and rates, and what networks give without images."""

import numpy as np

from robust_saliency.results.estimate import (
  CONFIDENCE,
  EQUAL,
  FEW_NETWORKS,
  TEST_IMAGES,
  Estimate,
  endless,
  how_many,
  no_number,
  what_over,
  with_width,
)
from robust_saliency.results.score_intervals import critical_value, tango, wilson
from robust_saliency.results.uncertainty import (
  bootstrap,
  half_width,
  mean_of_known,
  outer,
  over_images_or_networks,
  percentiles,
  resampled_over_networks,
)

# The chance that the median lies outside the range of n values, 2^(1 - n), is below 5 % from 6 on.
FEWEST_IMAGES = 6


def mean(
  values: np.ndarray, *, units: str = TEST_IMAGES, confidence: float = CONFIDENCE
) -> Estimate:
  """The mean of numbers of any size.

  Args:
    values: [S, N]; NaN does not count. Where some are infinite, such as the distance of an image
      that no attack moves, there is no mean.
    units: what the images are, in the plural.
    confidence: of the interval.

  >>> mean(np.ones((1, 20))).over
  '20 test images, one network; all values are equal'
  """
  values = np.asarray(values, np.float64)
  networks, images = values.shape
  if np.isinf(values).any():
    said = f"{what_over(networks, images, units)}; some infinite"
    return no_number(said, networks, confidence)
  fewest = int((~np.isnan(values)).sum(axis=1).min())
  over = what_over(networks, fewest, units)
  if not fewest:
    return no_number(f"{over}; none counts", networks, confidence)
  value = float(np.nanmean(values, axis=1).mean())
  if fewest < FEWEST_IMAGES:
    return endless(value, f"{over}; too few", networks, confidence)
  low, high = over_images_or_networks(values, fewest, confidence)
  if networks <= FEW_NETWORKS:
    resampled = bootstrap(mean_of_known, (values,)).mean(axis=1)
    low, high = outer(low, high, *percentiles(resampled, fewest, confidence))
  scale = float(np.nanmax(np.abs(values)))
  return with_width(value, float(low), float(high), scale, over, networks, confidence)


def rate_difference(
  ours: np.ndarray,
  theirs: np.ndarray,
  *,
  images_each: int,
  units: str = "originals",
  confidence: float = CONFIDENCE,
) -> Estimate:
  """How much larger one rate is than another, of values that are shares of a few images each.

  `mean` of the differences; never narrower than Tango's interval of all those images, as if they
  were independent.

  Args:
    ours: in [0, 1], [S, N].
    theirs: likewise.
    images_each: how many images each value is a share of.
    units: what the N are, in the plural.
    confidence: of the interval.
  """
  difference = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
  networks, originals = difference.shape
  up, down = (np.maximum(sign * difference, 0).sum() * images_each / networks for sign in (1, -1))
  ends = tango(up, down, originals * images_each, critical_value(confidence))
  return _never_narrower(mean(difference, units=units, confidence=confidence), *ends, -1.0)


def rate(
  values: np.ndarray,
  *,
  images_each: int,
  units: str = "originals",
  confidence: float = CONFIDENCE,
) -> Estimate:
  """The mean of values that are shares of a few images each.

  Never narrower than Wilson's interval of all those images, as if they were independent.

  Args:
    values: in [0, 1], [S, N].
    images_each: how many images each value is a share of.
    units: what the N are, in the plural.
    confidence: of the interval.
  """
  of_all = np.size(values) * images_each / len(values)
  estimate = mean(values, units=units, confidence=confidence)
  ends = wilson(estimate.value * of_all, of_all, critical_value(confidence))
  return _never_narrower(estimate, *ends, 0.0)


def median_difference(
  ours: np.ndarray,
  theirs: np.ndarray,
  *,
  units: str = TEST_IMAGES,
  confidence: float = CONFIDENCE,
) -> Estimate:
  """How much larger the median of some numbers is than that of others, of the same images.

  Args:
    ours: [S, N], finite.
    theirs: likewise.
    units: what the images are, in the plural.
    confidence: of the interval.
  """
  ours, theirs = (np.asarray(values, np.float64) for values in (ours, theirs))
  networks, images = ours.shape
  over = what_over(networks, images, units)
  if not (images and np.isfinite(ours).all() and np.isfinite(theirs).all()):
    return no_number(f"{over}; not all finite", networks, confidence)
  value = float(_difference_of_medians(ours, theirs).mean())
  if images < FEWEST_IMAGES:
    return endless(value, f"{over}; too few", networks, confidence)
  if networks > FEW_NETWORKS:
    low, high = resampled_over_networks(_difference_of_medians, (ours, theirs), confidence)
  else:
    resampled = bootstrap(_difference_of_medians, (ours, theirs)).mean(axis=1)
    low, high = map(np.asarray, percentiles(resampled, images, confidence))
  scale = float(np.abs([ours, theirs]).max())
  return with_width(value, float(low), float(high), scale, over, networks, confidence)


def of_networks(values: np.ndarray, *, confidence: float = CONFIDENCE) -> Estimate:
  """The mean of one number per network, of which no image is known.

  Args:
    values: [S].
    confidence: of the interval.

  >>> of_networks(np.array([1.0])).over
  'one network; no images are kept'
  """
  return _of_networks(np.asarray(values, np.float64), how_many(len(values)), 1.0, confidence)


def beside_references(values: np.ndarray, *, confidence: float = CONFIDENCE) -> Estimate:
  """How far one network lies from networks that it is compared with, by Student's prediction.

  All differences share that network. Their own spread says how well the references' mean is known,
  and nothing of how far a single network lies from its kind's mean: as far as a reference does.
  What it says is of this one network, however many the references are.

  Args:
    values: [S], the network's number less that of each reference.
    confidence: of the interval, value +- t s sqrt(1 + 1 / S).

  >>> beside_references(np.array([0.1, 0.2, 0.3])).over
  'one network beside 3 networks'
  """
  values = np.asarray(values, np.float64)
  over = f"one network beside {how_many(len(values))}"
  wider = np.sqrt(len(values) + 1)
  return _of_networks(values, over, wider, confidence)._replace(networks=1)


def _of_networks(values: np.ndarray, over: str, wider: float, confidence: float) -> Estimate:
  networks, value = len(values), float(np.mean(values))
  if not np.isfinite(values).all():
    return no_number(f"{over}; not all finite", networks, confidence)
  if networks <= FEW_NETWORKS:
    return endless(value, f"{over}; no images are kept", networks, confidence)
  half = wider * float(half_width(values, np.zeros(()), np.inf, confidence))
  scale = float(np.abs(values).max())
  return with_width(value, value - half, value + half, scale, over, networks, confidence)


def _difference_of_medians(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
  return np.median(ours, axis=-1) - np.median(theirs, axis=-1)


def _never_narrower(
  estimate: Estimate, low: np.ndarray, high: np.ndarray, lowest: float
) -> Estimate:
  """With these ends where it has none or nearer ones, clipped to [lowest, 1]."""
  over, _, reason = estimate.over.partition("; ")
  if reason == EQUAL:
    return estimate._replace(low=float(low), high=float(high), over=over)
  low, high = outer(estimate.low, estimate.high, low, high)
  return estimate._replace(low=max(float(low), lowest), high=min(float(high), 1.0))
