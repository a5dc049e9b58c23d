"""What intervals say in words."""

import numpy as np
import pytest

from robust_saliency import results as statistics
from robust_saliency.results import Estimate, judge, judge_equivalence

NO_END = float("inf")


@pytest.mark.parametrize(
  ("low", "high", "relation", "verdict"),
  [
    (0.25, 0.3, ">=", "supported"),
    (0.2, 0.3, ">=", "undecided"),
    (0.1, 0.24, ">=", "refuted"),
    (0.1, 0.25, "<=", "supported"),
    (0.2, 0.3, "<=", "undecided"),
    (0.26, 0.3, "<=", "refuted"),
    (-NO_END, NO_END, ">=", "undecided"),
    (np.nan, np.nan, "<=", "undecided"),
  ],
)
@pytest.mark.parametrize("networks", [1, 2, 3, 5])
def test_the_verdict_says_on_which_side_the_whole_interval_lies(
  low, high, relation, verdict, networks
):
  in_this_run = {"supported": "holds in this run", "refuted": "fails in this run"}
  expected = verdict if networks > 2 else in_this_run.get(verdict, verdict)
  assert judge(Estimate(0.25, low, high, "", networks), relation, 0.25) == expected


@pytest.mark.parametrize(
  ("low", "high", "verdict"),
  [(-0.02, 0.04, "supported"), (0.01, 0.06, "undecided"), (0.05, 0.09, "refuted")],
)
def test_equivalence_is_the_interval_within_the_margin(low, high, verdict):
  estimate = Estimate((low + high) / 2, low, high, "", networks=3, confidence=0.9)
  assert judge_equivalence(estimate, 0.05) == verdict


def test_equivalence_is_two_one_sided_tests_at_five_percent():
  # With three networks and hardly any images' variance: t(2) at 5 % on one side is 2.92.
  values = np.array([0.0, 0.01, 0.02])
  estimate = statistics.of_networks(values, confidence=0.9)
  reach = 2.919986 * 0.01 / np.sqrt(3)
  assert judge_equivalence(estimate, 0.01 + reach + 1e-6) == "supported"
  assert judge_equivalence(estimate, 0.01 + reach - 1e-6) == "undecided"


def test_equivalence_asks_for_its_own_interval_and_a_margin():
  estimate = Estimate(0.0, -0.01, 0.01, "", networks=3)
  with pytest.raises(ValueError, match=r"estimate must have a 90% interval .*, got one of 95%"):
    judge_equivalence(estimate, 0.05)
  with pytest.raises(ValueError, match="margin must be > 0, got 0"):
    judge_equivalence(estimate._replace(confidence=0.9), 0)
