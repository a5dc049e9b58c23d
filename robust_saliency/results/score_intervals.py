"""Score intervals of shares, of which none has zero width.

All take counts, whole or not, of any shape, and work on each element.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

# Halvings of an interval of length 2 until it is as narrow as float64 can tell.
BISECTIONS = 60


def wilson(
  right: ArrayLike, images: ArrayLike, critical: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
  """Wilson's interval of a share.

  Args:
    right: how many of the images count.
    images: of how many; NaN results where there are none.
    critical: the normal distribution's quantile, see `critical_value`.

  Returns:
    Its ends, in [0, 1].

  Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

  >>> [round(float(end), 4) for end in wilson(20, 20, critical_value(0.95))]
  [0.8389, 1.0]
  """
  right, images, z = (np.asarray(a, np.float64) for a in (right, images, critical))
  with np.errstate(invalid="ignore", divide="ignore"):
    share = right / images
    centre = (share + z**2 / (2 * images)) / (1 + z**2 / images)
    spread = np.sqrt(np.maximum(share * (1 - share), 0) / images + z**2 / (4 * images**2))
    half = z * spread / (1 + z**2 / images)
  # By rounding alone 0 of n would lie below its own interval, and n of n above.
  return np.minimum(centre - half, share).clip(0, 1), np.maximum(centre + half, share).clip(0, 1)


def tango(
  only_ours: ArrayLike, only_theirs: ArrayLike, images: ArrayLike, critical: float
) -> tuple[np.ndarray, np.ndarray]:
  """Tango's interval of the difference of two shares of the same images.

  It holds the differences D that the score test does not reject,

    |b - c - n D| <= z sqrt(n (2 q + D (1 - D))),

  with q the likeliest share of images that only they have right, given D.

  Args:
    only_ours: b, how many images only we have right.
    only_theirs: c, how many only they have right.
    images: n; NaN results where there are none.
    critical: z, see `critical_value`.

  Returns:
    Its ends, in [-1, 1].

  Source: Tango 1998, "Equivalence test and confidence interval for the difference in proportions
  for the paired-sample design".

  >>> [round(float(end), 4) for end in tango(6, 16, 161, critical_value(0.95))]
  [-0.124, -0.0054]
  """
  b, c, n = np.broadcast_arrays(
    *(np.asarray(a, np.float64) for a in (only_ours, only_theirs, images))
  )
  with np.errstate(invalid="ignore", divide="ignore"):
    difference = (b - c) / n

  def rejected(d: np.ndarray) -> np.ndarray:
    linear = (2 * n - b + c) * d - b - c
    root = np.sqrt(np.maximum(linear**2 + 8 * n * c * d * (1 - d), 0))
    q = (root - linear) / (4 * n)
    return (b - c - n * d) ** 2 > critical**2 * n * np.maximum(2 * q + d * (1 - d), 0)

  def end(outside: float) -> np.ndarray:
    inner, outer = difference, np.full_like(difference, outside)
    for _ in range(BISECTIONS):
      middle = (inner + outer) / 2
      out = rejected(middle)
      inner, outer = np.where(out, inner, middle), np.where(out, middle, outer)
    return (inner + outer) / 2

  with np.errstate(invalid="ignore", divide="ignore"):
    return end(-1.0), end(1.0)


def bonett_price(
  both: ArrayLike, only_ours: ArrayLike, only_theirs: ArrayLike, critical: float
) -> tuple[np.ndarray, np.ndarray]:
  """Bonett and Price's interval of the ratio of two shares of the same images, ours by theirs.

  Wilson's intervals of both shares, their quantile lowered for what the pairs have in common: two
  networks that agree on every image have the ratio 1 with an interval of about 1 +- 4 / (images
  that they have right).

  Args:
    both: how many images both have right.
    only_ours: how many only we have right.
    only_theirs: how many only they have right.
    critical: the normal distribution's quantile, see `critical_value`.

  Returns:
    Its ends, in [0, infinity]; NaN where nobody has any right.

  Source: Bonett & Price 2006, "Confidence intervals for a ratio of binomial proportions based on
  paired data".

  >>> [round(float(end), 4) for end in bonett_price(59, 6, 16, critical_value(0.95))]
  [0.7579, 0.991]
  """
  both, b, c = (np.asarray(a, np.float64) for a in (both, only_ours, only_theirs))
  ours, theirs, any_right = both + b, both + c, both + b + c
  apart = np.sqrt((b + c + 2) / ((ours + 1) * (theirs + 1)))
  alone = sum(
    np.sqrt((1 - (share + 1) / (any_right + 2)) / (share + 1)) for share in (ours, theirs)
  )
  lowered = critical * apart / alone
  low, high = wilson(ours, any_right, lowered)
  their_low, their_high = wilson(theirs, any_right, lowered)
  with np.errstate(divide="ignore", invalid="ignore"):
    return low / their_high, high / their_low


def critical_value(confidence: float) -> float:
  """The normal distribution's quantile for a two-sided interval.

  >>> round(critical_value(0.95), 2)
  1.96
  """
  return float(special.ndtri((1 + confidence) / 2))
