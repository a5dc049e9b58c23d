"""Numbers of trained networks with their intervals: the same for a claim, a table and a curve.

Values are arrays [S, N]: S networks, trained alike from different seeds, measured on the same N
images.

One or two networks say nothing of how networks differ: their intervals are over images alone.
Wilson's for a share, Tango's for a difference of shares and Bonett and Price's for a ratio of them;
for medians and other means (`means.py`) a bootstrap over images, percentile ends, moved outwards
for few images (Hesterberg 2015, "What teachers should know about the bootstrap"). A mean's ends are
never nearer than Student's, since the percentiles of a few values other than 0 end at 0.

From three networks on the interval is

  mean +- t sqrt(A + B),  A = s_seed^2 / S,  B = s_image^2 / N,

s_seed^2 the variance over networks, s_image^2 that over images of the mean over networks (B is the
bootstrap's variance for medians and ratios, each resample one for all networks), and t Student's
with (A + B)^2 / (A^2 / (S - 1) + B^2 / (N - 1)) degrees of freedom. Networks are never resampled:
three or five are too few for that. The interval of a share is never narrower than that of the N
images.

No interval has zero width: where all values are equal, and no score interval applies, it is
infinite, and `over` says why. 0 / 0 is not a number.
"""

import numpy as np

from robust_saliency.results.estimate import (
  CONFIDENCE,
  FEW_NETWORKS,
  TEST_IMAGES,
  Estimate,
  Estimates,
  no_number,
  what_over,
)
from robust_saliency.results.independent import independent_difference
from robust_saliency.results.score_intervals import bonett_price, critical_value, tango, wilson
from robust_saliency.results.uncertainty import (
  divided,
  outer,
  over_networks,
  resampled_over_networks,
)


def shares(
  right: np.ndarray, *, units: str = TEST_IMAGES, confidence: float = CONFIDENCE
) -> Estimates:
  """The share of images that are right, the mean over networks.

  Two networks count as the N images that they share, which is rather too wide.

  Args:
    right: whether each image is right, bool or 0 and 1, [..., S, N].
    units: what the images are, in the plural.
    confidence: of the interval.

  Returns:
    Arrays [...].

  >>> estimates = shares(np.ones((1, 20), bool))
  >>> float(estimates.low.round(3)), estimates.over
  (0.839, '20 test images, one network')
  """
  right = np.asarray(right, np.float64)
  *_, networks, images = right.shape
  value = right.mean(axis=(-2, -1)) if images else np.full(right.shape[:-2], np.nan)
  low, high = wilson(value * images, images, critical_value(confidence))
  if networks > FEW_NETWORKS:
    low, high = outer(low, high, *over_networks(right, confidence))
  over = what_over(networks, images, units)
  return Estimates(value, np.maximum(low, 0), np.minimum(high, 1), over, networks, confidence)


def share(
  right: np.ndarray, *, units: str = TEST_IMAGES, confidence: float = CONFIDENCE
) -> Estimate:
  """`shares` of [S, N]: one number."""
  return shares(right, units=units, confidence=confidence).one()


def share_difference(
  ours: np.ndarray,
  theirs: np.ndarray,
  *,
  units: str = TEST_IMAGES,
  confidence: float = CONFIDENCE,
) -> Estimate:
  """How much larger one share is than another of the same images, paired by network and image.

  Args:
    ours: bool or 0 and 1, [S, N].
    theirs: likewise.
    units: what the images are, in the plural.
    confidence: of the interval.

  >>> bool(share_difference(np.ones((1, 20)), np.ones((1, 20))).high > 0)
  True
  """
  ours, theirs = (np.asarray(right, np.float64) for right in (ours, theirs))
  difference = ours - theirs
  networks, images = difference.shape
  # Per image at most: two networks' variance is no larger than that of one.
  only_ours, only_theirs = (difference > 0).sum() / networks, (difference < 0).sum() / networks
  low, high = tango(only_ours, only_theirs, images, critical_value(confidence))
  value = difference.mean() if images else np.nan
  if networks > FEW_NETWORKS:
    low, high = outer(low, high, *over_networks(difference, confidence))
  ends = float(value), float(np.maximum(low, -1)), float(np.minimum(high, 1))
  return Estimate(*ends, what_over(networks, images, units), networks, confidence)


def share_ratio(
  ours: np.ndarray,
  theirs: np.ndarray,
  *,
  units: str = TEST_IMAGES,
  confidence: float = CONFIDENCE,
) -> Estimate:
  """One share by another of the same images, the mean over networks; NaN where theirs is 0.

  Args:
    ours: bool or 0 and 1, [S, N].
    theirs: likewise.
    units: what the images are, in the plural.
    confidence: of the interval.

  >>> same = np.arange(1000)[None] < 990
  >>> [round(float(end), 3) for end in share_ratio(same, same)[:3]]
  [1.0, 0.998, 1.002]
  """
  ours, theirs = (np.asarray(right, np.float64) for right in (ours, theirs))
  networks, images = ours.shape
  over = what_over(networks, images, units)
  if not images or (theirs.sum(axis=1) == 0).any():
    return no_number(f"{over}; by a share of 0", networks, confidence)

  value = float(_ratio_of_sums(ours, theirs).mean())
  both = (ours * theirs).sum() / networks
  only = (ours.sum() / networks - both, theirs.sum() / networks - both)
  low, high = bonett_price(both, *only, critical_value(confidence))
  if networks > FEW_NETWORKS:
    low, high = outer(
      low, high, *resampled_over_networks(_ratio_of_sums, (ours, theirs), confidence)
    )
  ends = max(min(float(low), value), 0.0), max(float(high), value)
  return Estimate(value, *ends, over, networks, confidence)


def share_within(
  part: np.ndarray,
  whole: np.ndarray,
  *,
  units: str = TEST_IMAGES,
  confidence: float = CONFIDENCE,
) -> Estimate:
  """Of the images in a whole, the share that is in a part of it; NaN where the whole is empty.

  Args:
    part: bool or 0 and 1, [S, N], nowhere without `whole`.
    whole: likewise.
    units: what the images are, in the plural.
    confidence: of the interval.

  >>> share_within(np.zeros((3, 9)), np.zeros((3, 9))).value
  nan
  """
  part, whole = (np.asarray(one, np.float64) for one in (part, whole))
  networks, _ = part.shape
  counted = whole.sum(axis=1)
  fewest = int(counted.min(initial=np.inf)) if counted.size else 0
  over = what_over(networks, fewest, units)
  if not fewest:
    return no_number(f"{over}; none counts", networks, confidence)

  value = float(_ratio_of_sums(part, whole).mean())
  low, high = wilson(value * fewest, fewest, critical_value(confidence))
  if networks > FEW_NETWORKS:
    low, high = outer(
      low, high, *resampled_over_networks(_ratio_of_sums, (part, whole), confidence)
    )
  ends = max(float(low), 0.0), min(float(high), 1.0)
  return Estimate(value, *ends, over, networks, confidence)


def share_within_difference(
  ours: tuple[np.ndarray, np.ndarray],
  theirs: tuple[np.ndarray, np.ndarray],
  *,
  units: str = TEST_IMAGES,
  confidence: float = CONFIDENCE,
) -> Estimate:
  """How much larger a share within a whole is than another within another, of the same images.

  Never narrower than Newcombe's interval, of Wilson's two, in which the two wholes count as if they
  were of other images, which is rather too wide. From three networks on that over networks counts,
  too.

  Args:
    ours: a part and the whole it lies in, see `share_within`.
    theirs: likewise.
    units: what the images are, in the plural.
    confidence: of the interval.

  Source: Newcombe 1998, "Interval estimation for the difference between independent proportions",
  method 10.

  >>> whole = np.ones((1, 50))
  >>> found = share_within_difference((whole, whole), (0 * whole, whole))
  >>> found.value, round(found.low, 3)
  (1.0, 0.899)
  """
  first, second = (share_within(*one, units=units, confidence=confidence) for one in (ours, theirs))
  over = f"{first.over.split(' ')[0]} and {second.over}"
  value = first.value - second.value
  if np.isnan(value):
    return no_number(over, first.networks, confidence)
  newcombe = independent_difference(first, second)
  low, high = np.asarray(newcombe.low), np.asarray(newcombe.high)
  if first.networks > FEW_NETWORKS:
    arrays = tuple(np.asarray(one, np.float64) for one in (*ours, *theirs))
    over_networks = resampled_over_networks(_difference_of_ratios, arrays, confidence)
    low, high = outer(low, high, *over_networks)
  ends = max(float(low), -1.0), min(float(high), 1.0)
  return Estimate(float(value), *ends, over, first.networks, confidence)


def halves(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Images that choose (the first, third, ...) and images that judge what was chosen, [..., N / 2].

  What is best on the images that chose it looks better there than it is.
  """
  return values[..., ::2], values[..., 1::2]


def _ratio_of_sums(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
  return divided(part.sum(axis=-1), whole.sum(axis=-1))


def _difference_of_ratios(
  part: np.ndarray, whole: np.ndarray, other_part: np.ndarray, other_whole: np.ndarray
) -> np.ndarray:
  return _ratio_of_sums(part, whole) - _ratio_of_sums(other_part, other_whole)
