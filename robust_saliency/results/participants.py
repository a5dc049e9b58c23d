"""People as the unit: tests and intervals of what they chose, exact for any number of them.

Votes of one person resemble each other, so that neither votes nor images are independent. All
tests here ask how far the result of these people would be from chance if what is compared were
exchanged within each person: the names of the methods in a forced choice, two networks in a
comparison of both. Counts are whole numbers, so that the distribution of their sum over all
exchanges is a convolution, and nothing is drawn at random.

Source: Edgington & Onghena 2007, "Randomization tests", chapters 3 and 6.
"""

import numpy as np
from numpy.typing import ArrayLike

from robust_saliency.core import checks
from robust_saliency.results.estimate import (
  CONFIDENCE,
  EQUAL,
  FEW_NETWORKS,
  Estimate,
  endless,
  no_number,
  with_width,
)
from robust_saliency.results.means import of_networks

PARTICIPANTS = "participants"
# Of two probabilities that are equal but for rounding neither is the smaller.
ROUNDING = 1e-9
# With more people, whose every subset counts, Student's interval is as good and takes no memory.
MOST_EXACT = 100


def label_permutation(counts: ArrayLike, choice: int) -> np.ndarray:
  """How often people's votes would favour, or spurn, one choice as much if labels meant nothing.

  Under the null hypothesis the labels of the choices may be permuted within each participant, all
  votes of whom move together. One choice then has with equal probability any of a participant's
  counts, and the sum over participants is a convolution.

  Args:
    counts: votes, whole numbers [..., participant, choice].
    choice: which of them is asked about.

  Returns:
    Two-sided p-values [...], twice the smaller tail and at most 1.

  Raises:
    ValueError: for counts that are no whole numbers >= 0.

  >>> round(float(label_permutation([[1, 0, 0, 0]] * 4, 0)), 4)  # 2 / 4^4
  0.0078
  """
  counts = _whole_numbers(counts, "counts")
  checks.count(0, maximum=counts.shape[-1] - 1, choice=choice)
  most = int(counts.max(initial=0))
  of_one = np.stack([(counts == value).mean(axis=-1) for value in range(most + 1)], axis=-1)
  return _two_sided(_sum_of(of_one), counts[..., choice].sum(axis=-1))


def sign_flips(differences: ArrayLike) -> np.ndarray:
  """How often participants' differences would sum to as much if their signs meant nothing.

  Args:
    differences: of each participant's two counts, whole numbers [..., participant].

  Returns:
    Two-sided p-values [...]; 1 where all differences are 0.

  Raises:
    ValueError: for differences that are no whole numbers.

  >>> float(sign_flips([2, 1, 3, 1, 2, 2]))  # 2 / 2^6
  0.03125
  """
  differences = _whole_numbers(differences, "differences", signed=True)
  most = int(np.abs(differences).max(initial=0))
  values = np.arange(-most, most + 1)
  of_one = sum(0.5 * (sign * differences[..., None] == values) for sign in (1, -1))
  return _two_sided(_sum_of(np.asarray(of_one)), differences.sum(axis=-1) + most * _people(of_one))


def sign_flip_interval(
  differences: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[float, float]:
  """The mean differences that `sign_flips` does not reject, one-sided at each end.

  Flipping signs of the differences less theta, the sum is as large as it is for those subsets of
  participants whose mean is at most theta: the ends are order statistics of all subsets' means.

  Args:
    differences: whole numbers [participant].
    confidence: of the interval.

  Returns:
    Its ends; infinite where so few people cannot reject anything (five or fewer at 95 %).

  Source: Hartigan 1969, "Using subsample values as typical values".

  >>> sign_flip_interval([2, 1, 3, 1, 2, 2])
  (1.0, 3.0)
  """
  differences = _whole_numbers(differences, "differences", signed=True)
  people, most = len(differences), int(np.abs(differences).max(initial=0))
  # The probability that a random subset has so many participants and such a sum.
  sums = np.arange(-people * most, people * most + 1)
  found = np.zeros((people + 1, len(sums)))
  found[0, people * most] = 1.0
  for difference in differences:
    with_one = np.roll(np.roll(found, 1, axis=0), int(difference), axis=1)
    found = (found + with_one) / 2
  sizes, places = np.nonzero(found[1:])
  means, chances = sums[places] / (sizes + 1), found[1:][sizes, places]
  tail = (1 - confidence) / 2
  empty = 0.5**people

  def end(order: np.ndarray) -> float:
    p_values = empty + np.cumsum(chances[order])
    # Up to the first mean at which the test no longer rejects.
    kept = np.flatnonzero(p_values > tail * (1 + ROUNDING))
    return float(means[order][kept[0]]) if empty <= tail and len(kept) else np.nan

  ascending = np.argsort(means, kind="stable")
  low, high = end(ascending), end(ascending[::-1])
  return (low, high) if np.isfinite(low) else (-np.inf, np.inf)


def mean_share(shares: ArrayLike, *, confidence: float = CONFIDENCE) -> Estimate:
  """The mean of participants' shares with Student's interval over participants.

  Args:
    shares: in [0, 1], one of each participant [S].
    confidence: of the interval.

  >>> mean_share([0.5, 0.6, 0.7, 0.6]).over
  '4 participants'
  """
  shares = np.asarray(shares, np.float64)
  estimate = of_networks(shares, confidence=confidence)
  _, _, reason = estimate.over.partition("; ")
  over, ended = _how_many(len(shares)), np.isfinite(estimate.low)
  reason = "too few" if len(shares) <= FEW_NETWORKS else reason
  return estimate._replace(
    low=max(estimate.low, 0.0) if ended else estimate.low,
    high=min(estimate.high, 1.0) if ended else estimate.high,
    over=f"{over}; {reason}" if reason else over,
  )


def difference(
  ours: ArrayLike, theirs: ArrayLike, *, images_each: int, confidence: float = CONFIDENCE
) -> Estimate:
  """How much larger one share of each participant is than another, by the signs of the differences.

  Args:
    ours: in [0, 1], one of each participant [S].
    theirs: likewise.
    images_each: how many images each share is of.
    confidence: of the interval.

  >>> difference([0.5, 0.4], [0.1, 0.3], images_each=10).over
  '2 participants; too few'
  """
  apart = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
  people = len(apart)
  over = _how_many(people)
  if not people or not np.isfinite(apart).all():
    return no_number(f"{over}; not all finite", people, confidence)
  value = float(apart.mean())
  if not apart.any():
    return endless(value, f"{over}; {EQUAL}", people, confidence)
  if people > MOST_EXACT:
    return of_networks(apart, confidence=confidence)._replace(over=over)
  low, high = sign_flip_interval(np.rint(apart * images_each), confidence)
  if not np.isfinite(low):
    return endless(value, f"{over}; too few", people, confidence)
  ends = low / images_each, high / images_each
  return with_width(value, *ends, float(np.abs(apart).max()), over, people, confidence)


def holm(p_values: ArrayLike) -> np.ndarray:
  """P-values of several tests, each so that the chance of any false rejection keeps its level.

  Args:
    p_values: [tests].

  Source: Holm 1979, "A simple sequentially rejective multiple test procedure".

  >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
  [0.03, 0.06, 0.06]
  """
  p_values = np.asarray(p_values, np.float64)
  order = np.argsort(p_values, kind="stable")
  scaled = p_values[order] * np.arange(len(p_values), 0, -1)
  adjusted = np.empty_like(p_values)
  adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
  return adjusted


def _how_many(people: int) -> str:
  return f"{people} {PARTICIPANTS}" if people != 1 else "one participant"


def _whole_numbers(values: ArrayLike, name: str, *, signed: bool = False) -> np.ndarray:
  array = np.asarray(values)
  rounded = np.rint(array).astype(np.int64)
  if not array.size or (array != rounded).any() or (not signed and (rounded < 0).any()):
    allowed = "whole numbers" if signed else "whole numbers >= 0"
    raise ValueError(f"{name} must be {allowed}, got {checks.shown(array.tolist())}")
  return rounded


def _people(of_one: ArrayLike) -> int:
  return np.shape(of_one)[-2]


def _sum_of(of_one: np.ndarray) -> np.ndarray:
  """The distribution of the sum of independent numbers 0, 1, ...: [..., P, V] to [..., sums]."""
  *batch, people, values = of_one.shape
  total = np.zeros((*batch, people * (values - 1) + 1))
  total[..., 0] = 1.0
  for i in range(people):
    reached = i * (values - 1) + 1
    longer = np.zeros_like(total)
    for value in range(values):
      longer[..., value : value + reached] += of_one[..., i, value, None] * total[..., :reached]
    total = longer
  return total


def _two_sided(distribution: np.ndarray, observed: np.ndarray) -> np.ndarray:
  sums = np.arange(distribution.shape[-1])
  here = np.asarray(observed)[..., None]
  lower = np.where(sums <= here, distribution, 0).sum(axis=-1)
  upper = np.where(sums >= here, distribution, 0).sum(axis=-1)
  return np.minimum(2 * np.minimum(lower, upper), 1.0)
