"""What an interval says about a claim, in words.

One or two networks say something of themselves alone: a claim about a method *holds in this run*
or *fails in this run*. From three on, whose spread is part of the interval, it is *supported* or
*refuted*. Where the interval straddles, or there is no number, it is *undecided*; where the study
says that its numbers can decide nothing, it is *not judged*.
"""

from robust_saliency.core import checks
from robust_saliency.results.estimate import FEW_NETWORKS, Estimate

RELATIONS = (">=", "<=")
HOLDS, FAILS = "holds in this run", "fails in this run"
NO_VOTES = "not judged: no votes yet"
SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"
NOT_JUDGED = "not judged"
# The confidence of an interval that lies within a margin if two one-sided tests at 5 % say so.
EQUIVALENCE_CONFIDENCE = 0.9


def judge(estimate: Estimate, relation: str, threshold: float) -> str:
  """The verdict on the claim that a number is at least, or at most, a threshold.

  >>> judge(Estimate(0.35, 0.3, 0.4, "", networks=5), ">=", 0.25)
  'supported'
  >>> judge(Estimate(0.35, 0.3, 0.4, "", networks=1), "<=", 0.25)
  'fails in this run'
  """
  checks.one_of(relation, RELATIONS, argument="relation")
  low, high = estimate.low, estimate.high
  if relation == "<=":
    low, high, threshold = -high, -low, -threshold
  return _in_words(low >= threshold, high < threshold, estimate.networks)


def judge_equivalence(estimate: Estimate, margin: float) -> str:
  """The verdict on the claim that a number is 0 but for less than a margin.

  Two one-sided tests at 5 % each: the 90 % interval lies inside (-margin, margin).

  Args:
    estimate: with `confidence=EQUIVALENCE_CONFIDENCE`.
    margin: the largest difference that does not matter, > 0.

  Raises:
    ValueError: for an interval of another confidence, or a margin that is not positive.

  Source: Schuirmann 1987, "A comparison of the two one-sided tests procedure and the power
  approach for assessing the equivalence of average bioavailability".

  >>> judge_equivalence(Estimate(0.01, -0.01, 0.03, "", networks=3, confidence=0.9), 0.05)
  'supported'
  """
  checks.positive(margin=margin)
  if estimate.confidence != EQUIVALENCE_CONFIDENCE:
    raise ValueError(
      f"estimate must have a {EQUIVALENCE_CONFIDENCE:.0%} interval for a test of equivalence, got "
      f"one of {estimate.confidence:.0%}"
    )
  inside = -margin < estimate.low and estimate.high < margin
  outside = estimate.low >= margin or estimate.high <= -margin
  return _in_words(inside, outside, estimate.networks)


def _in_words(holds: bool, fails: bool, networks: int) -> str:
  few = networks <= FEW_NETWORKS
  if holds:
    return HOLDS if few else SUPPORTED
  if fails:
    return FAILS if few else REFUTED
  return UNDECIDED
