"""The difference of two numbers that were measured apart, from their two intervals."""

import numpy as np

from robust_saliency.results.estimate import Estimate, no_number


def independent_difference(ours: Estimate, theirs: Estimate) -> Estimate:
  """How much larger one number is than another, of other networks or of other images.

  low = d - sqrt((ours - low of ours)^2 + (high of theirs - theirs)^2), and high likewise: each end
  is recovered from the ends that limit it, whatever the intervals are of. Where the two share
  images that are hard for both, it is rather too wide.

  Args:
    ours: a number and its interval.
    theirs: likewise, of the same confidence.

  Source: Zou & Donner 2008, "Construction of confidence limits about effect measures: a general
  approach", equation 5; of Wilson's two intervals it is Newcombe's method 10.

  >>> shares = [Estimate(0.5, 0.4, 0.6, "100 test images", 1), Estimate(0.2, 0.1, 0.3, "9", 1)]
  >>> [round(end, 3) for end in independent_difference(*shares)[:3]]
  [0.3, 0.159, 0.441]
  """
  over = ours.over if ours.over == theirs.over else f"{ours.over}, and {theirs.over}"
  networks = min(ours.networks, theirs.networks)
  value = ours.value - theirs.value
  if np.isnan(value):
    return no_number(over, networks, ours.confidence)
  low = value - np.hypot(ours.value - ours.low, theirs.high - theirs.value)
  high = value + np.hypot(ours.high - ours.value, theirs.value - theirs.low)
  return Estimate(float(value), float(low), float(high), over, networks, ours.confidence)
