"""How far networks or people lie apart, how many would decide a claim, what these would find."""

import numpy as np
from scipy import special

from robust_saliency.results.estimate import CONFIDENCE, FEW_NETWORKS, Estimate
from robust_saliency.results.uncertainty import student_half_width

MOST_NETWORKS = 1000
BISECTIONS = 60
CANDIDATES = 4000  # 0.3 % apart
ENOUGH = 0.8  # the power that a study should have


def seed_spread(of_networks: np.ndarray) -> float:
  """The standard deviation over networks, NaN for too few to tell.

  Args:
    of_networks: a claim's number for each network by itself [S].

  >>> round(seed_spread(np.array([0.1, 0.3, 0.5])), 3)
  0.2
  """
  known = len(of_networks) > FEW_NETWORKS and np.isfinite(of_networks).all()
  return float(np.std(of_networks, ddof=1)) if known else np.nan


def networks_to_decide(
  estimate: Estimate,
  *,
  spread: float,
  distance: float,
  images: float,
  of_images: float | None = None,
) -> int | None:
  """How many networks would decide a claim, were their mean and spread to stay as they are.

  The fewest n, more than now, with t sqrt(s^2 / n + B) < distance: Student's t as for the interval
  itself, s the spread over networks, B what the images add, which does not become less with n.

  Args:
    estimate: the claim's number, of three networks or more.
    spread: s, see `seed_spread`.
    distance: how far the number lies from the threshold.
    images: N, infinite for numbers without images.
    of_images: B; None where it is only known from the interval: then the least B that gives it, as
      images are many. (With a B well below the networks' part, the interval is shorter than
      without: it has more degrees of freedom.)

  Returns:
    n; None where the spread is not known, or where no number of networks decides it.

  >>> estimate = Estimate(0.05, -0.02, 0.12, "", networks=5)
  >>> networks_to_decide(estimate, spread=0.056, distance=0.05, images=np.inf)
  8
  """
  networks, confidence = estimate.networks, estimate.confidence
  half = (estimate.high - estimate.low) / 2
  if not (np.isfinite(spread) and np.isfinite(half) and np.isfinite(distance)):
    return None

  def half_width(n: int, added: float | np.ndarray) -> np.ndarray:
    return student_half_width(spread**2 / n, added, n, images, confidence)

  if of_images is None:
    of_images = 0.0
    if np.isfinite(images):
      candidates = np.append(0.0, half**2 * np.geomspace(1e-6, 1, CANDIDATES))
      beyond = half_width(networks, candidates) >= half
      crossings = np.flatnonzero(beyond[1:] != beyond[0])
      of_images = float(candidates[crossings[0]]) if len(crossings) else 0.0
  enough = (
    n for n in range(networks + 1, MOST_NETWORKS + 1) if half_width(n, of_images) < distance
  )
  return next(enough, None)


def power(effect: float, *, spread: float, units: int, confidence: float = CONFIDENCE) -> float:
  """The chance that Student's two-sided test finds a mean's difference from a threshold.

  Args:
    effect: how far the true mean lies from it.
    spread: the standard deviation over units, > 0.
    units: how many there are, at least 2.
    confidence: of the interval that must not hold the threshold.

  Returns:
    In [0, 1]; NaN where there are too few units, or the spread is not known.

  >>> round(power(0.5, spread=1.0, units=34), 3)
  0.808
  """
  if units < 2 or not (np.isfinite(spread) and np.isfinite(effect) and spread > 0):
    return np.nan
  freedom, shift = units - 1, abs(effect) / spread * np.sqrt(units)
  critical = special.stdtrit(freedom, (1 + confidence) / 2)
  below = special.nctdtr(freedom, shift, [-critical, critical])
  # So far from the threshold the series that gives it ends in NaN.
  return float(1 - below[1] + below[0]) if np.isfinite(below).all() else 1.0


def smallest_found(*, spread: float, units: int, confidence: float = CONFIDENCE) -> float:
  """The difference from a threshold that is found with a power of `ENOUGH`; NaN as of `power`.

  >>> round(smallest_found(spread=1.0, units=34), 2)
  0.5
  """
  if np.isnan(power(1.0, spread=spread, units=units)):
    return np.nan
  low, high = 0.0, spread
  while power(high, spread=spread, units=units, confidence=confidence) < ENOUGH:
    high *= 2
  for _ in range(BISECTIONS):
    middle = (low + high) / 2
    enough = power(middle, spread=spread, units=units, confidence=confidence) >= ENOUGH
    low, high = (low, middle) if enough else (middle, high)
  return high


def units_needed(effect: float, *, spread: float, confidence: float = CONFIDENCE) -> int | None:
  """How many units find a difference with a power of `ENOUGH`; None where no number does.

  >>> units_needed(0.5, spread=1.0)
  34
  """
  if np.isnan(power(effect, spread=spread, units=2)):
    return None
  enough = (
    n
    for n in range(2, MOST_NETWORKS + 1)
    if power(effect, spread=spread, units=n, confidence=confidence) >= ENOUGH
  )
  return next(enough, None)
