"""Claims whose unit is not the seed, and those of an exact probability."""

import numpy as np
import pytest
from scipy import stats

from robust_saliency.results.claims import check_claim, judge_claim, read_claims
from robust_saliency.results.result import Layout, Result

GAP = np.array([[-1.0, -1.4, -0.9], [0.5, -0.4, 0.1]])
CHANCE = np.array([0.02, 0.3, np.nan])
LAYOUT = Layout(
  {
    "gap": ("network", "standard"),
    "of_images": ("network", "standard", "example"),
    "chance": ("manifold",),
    "one": ("seed",),
  },
  {"network": ("a", "b"), "standard": ("s1", "s2", "s3"), "manifold": ("m", "n", "o")},
)
ARRAYS = {"gap": GAP, "of_images": np.zeros((2, 3, 4)), "chance": CHANCE, "one": np.zeros(1)}
RESULTS = {"s": Result("s", "manifold", LAYOUT, ARRAYS)}


def claim(**fields):
  (read,) = read_claims([{"id": "C", "says": "It holds.", **fields}], dataset="mnist")
  check_claim(read, {"s": LAYOUT})
  return read


def judged(**fields):
  return judge_claim(claim(**fields), RESULTS)


def of_gaps(gaps, **fields):
  arrays = {**ARRAYS, "gap": np.tile(gaps, (2, 1))}
  one = claim(of="s.gap", at={"network": "a"}, at_most=0.0, **fields)
  return judge_claim(one, {"s": Result("s", "manifold", LAYOUT, arrays)})


def test_a_network_is_compared_with_standard_networks_as_one_more_of_them():
  found = judged(of="s.gap", at={"network": "a"}, at_most=0.0)
  ends = stats.t.interval(0.95, 2, GAP[0].mean(), GAP[0].std(ddof=1) * np.sqrt(1 + 1 / 3))
  np.testing.assert_allclose([found.estimate.low, found.estimate.high], ends)
  assert found.verdict == "undecided"
  assert found.estimate.over == "one network beside 3 networks"
  # One network tells nothing of others that are trained alike.
  assert of_gaps(GAP[0] - 1).verdict == "holds in this run"
  assert found.needed is None


def test_one_that_is_like_the_standard_networks_is_told_from_them_in_one_of_twenty_cases():
  draws = np.random.default_rng(0).normal(size=(1000, 4))
  verdicts = [of_gaps(own - standards).verdict for own, *standards in draws]
  assert 0.03 < np.mean([one != "undecided" for one in verdicts]) < 0.07


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
    (
      {"of": "s.gap", "at": {"network": "a"}, "minus": {"network": "b"}, "at_most": 0.0},
      "at which standard",
    ),
    ({"of": "s.of_images", "at": {"network": "a"}, "at_most": 0.0}, "at which standard"),
  ],
)
def test_a_place_that_is_no_such_number_is_refused(fields, sentence):
  with pytest.raises(ValueError, match=sentence):
    claim(**fields)
