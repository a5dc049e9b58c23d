"""Claims whose unit is not the seed, and those of an exact probability."""

import numpy as np
import pytest
from scipy import stats

from robust_saliency.results.claims import check_claim, judge_claim, read_claims
from robust_saliency.results.result import Layout, Result

GAP = np.array([[-1.0, -1.4, -0.9], [0.5, -0.4, 0.1]])
CHANCE = np.array([0.02, 0.3, np.nan])
LAYOUT = Layout(
  {"gap": ("network", "standard"), "chance": ("manifold",), "one": ("seed",)},
  {"network": ("a", "b"), "standard": ("s1", "s2", "s3"), "manifold": ("m", "n", "o")},
)
ARRAYS = {"gap": GAP, "chance": CHANCE, "one": np.zeros(1)}
RESULTS = {"s": Result("s", "manifold", LAYOUT, ARRAYS)}


def claim(**fields):
  (read,) = read_claims([{"id": "C", "says": "It holds.", **fields}], dataset="mnist")
  check_claim(read, {"s": LAYOUT})
  return read


def judged(**fields):
  return judge_claim(claim(**fields), RESULTS)


def test_standard_networks_are_repeated_where_one_network_is_compared_with_them():
  found = judged(of="s.gap", at={"network": "a"}, at_most=0.0)
  low, high = stats.t.interval(0.95, 2, GAP[0].mean(), stats.sem(GAP[0]))
  np.testing.assert_allclose([found.estimate.low, found.estimate.high], [low, high])
  assert found.verdict == "supported"
  assert judged(of="s.gap", at={"network": "b"}, at_most=0.0).verdict == "undecided"


@pytest.mark.parametrize(
  ("manifold", "verdict"), [("m", "supported"), ("n", "undecided"), ("o", "undecided")]
)
def test_a_small_probability_supports_a_claim_and_a_large_one_refutes_none(manifold, verdict):
  found = judged(of="s.chance", at={"manifold": manifold}, statistic="probability", at_most=0.05)
  assert found.verdict == verdict
  assert found.needed is None


@pytest.mark.parametrize(
  ("fields", "sentence"),
  [
    ({"of": "s.chance", "statistic": "probability", "at_most": 0.05}, "at which manifold"),
    ({"of": "s.chance", "at": {"manifold": "m"}, "at_most": 0.05}, "statistic 'probability'"),
    ({"of": "s.one", "statistic": "probability", "at_most": 0.05}, "at which seed"),
    (
      {"of": "s.chance", "at": {"manifold": "m"}, "statistic": "probability", "at_least": 0.05},
      "must have at_most",
    ),
    ({"of": "s.gap", "at_most": 0.0}, "at which network"),
  ],
)
def test_a_place_that_is_no_such_number_is_refused(fields, sentence):
  with pytest.raises(ValueError, match=sentence):
    claim(**fields)
