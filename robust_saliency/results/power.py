"""How far networks that were trained alike lie apart, and how many would decide a claim."""

import numpy as np

from robust_saliency.results.estimate import FEW_NETWORKS, Estimate
from robust_saliency.results.uncertainty import student_half_width

MOST_NETWORKS = 1000
BISECTIONS = 60


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
  estimate: Estimate, *, spread: float, distance: float, images: float
) -> int | None:
  """How many networks would decide a claim, were their mean and spread to stay as they are.

  The fewest n, more than now, with t sqrt(s^2 / n + B) < distance: Student's t as for the interval
  itself, s the spread over networks, B what the images add, which is what the interval has left
  once the networks' part is taken away, and does not become less with n.

  Args:
    estimate: the claim's number, of three networks or more.
    spread: s, see `seed_spread`.
    distance: how far the number lies from the threshold.
    images: N, infinite for numbers without images.

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

  def half_width(n: int, of_images: float) -> float:
    return float(student_half_width(spread**2 / n, of_images, n, images, confidence))

  low, high = 0.0, half**2
  for _ in range(BISECTIONS):
    middle = (low + high) / 2
    low, high = (middle, high) if half_width(networks, middle) < half else (low, middle)
  # What is left by rounding alone is nothing.
  of_images = low if low > 1e-6 * half**2 and np.isfinite(images) else 0.0
  enough = (
    n for n in range(networks + 1, MOST_NETWORKS + 1) if half_width(n, of_images) < distance
  )
  return next(enough, None)
