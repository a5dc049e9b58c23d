"""Claims judged on hand-made results."""

import numpy as np
import pytest

from robust_saliency.studies import StudyResult, check_claim, judge_claim

SETTINGS = {
  "robust": {"kind": "robustness", "attacks": {"pgd": {"name": "pgd"}}, "epsilons": (0.0, 0.2)},
  "clean": {"kind": "accuracy"},
}


def claim(**changes):
  measure = {
    "name": "robust_accuracy_gap", "study": "robust", "model": "a", "baseline": "b",
    "attack": "pgd", "epsilon": 0.2,
  }  # fmt: skip
  return {
    "statement": "a is more robust than b.",
    "source": "a test",
    "measure": measure,
    "relation": ">=",
    "threshold": 0.25,
    **changes,
  }


def robustness(correct):
  facts = {"models": ["a", "b"], "attacks": [{"name": "pgd"}], "epsilons": [0.0, 0.2]}
  return {"robust": StudyResult("robust", "robustness", {"correct": np.array(correct)}, facts)}


def test_a_gap_is_paired_by_network_and_image():
  # Three networks of four examples, at epsilons 0 and 0.2: the gaps at 0.2 are 0.75, 0.5 and 0.5.
  of_a = [[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0]]
  a = [[[1, 1, 1, 1], at_2] for at_2 in of_a]
  b = [[[1, 1, 1, 1], [0, 0, 0, 0]]] * 3
  judged = judge_claim(claim(), robustness([[a, b]]), scale="small")
  assert judged.value == pytest.approx(1.75 / 3)
  assert judged.interval == "95 % over 4 test images and 3 networks"
  assert judged.scale == "small"
  assert judged.verdict == "undecided"  # few images: the interval is wide


@pytest.mark.parametrize(("networks", "verdict"), [(1, "holds in this run"), (3, "supported")])
def test_a_verdict_on_a_method_needs_three_networks(networks, verdict):
  ones, zeros = [[1] * 50, [1] * 50], [[1] * 50, [0] * 45 + [1] * 5]
  results = robustness([[[ones] * networks, [zeros] * networks]])
  judged = judge_claim(claim(), results, scale="small")
  assert judged.value == pytest.approx(0.9)
  assert judged.verdict == verdict
  other = judge_claim(claim(relation="<="), results, scale="small")
  assert other.verdict == {1: "fails in this run", 3: "refuted"}[networks]


def test_twenty_of_twenty_do_not_support_a_threshold_of_999_in_1000():
  facts = {"models": ["a"]}
  study = StudyResult("clean", "accuracy", {"correct": np.ones((1, 1, 20), bool)}, facts)
  measure = {"name": "accuracy", "study": "clean", "model": "a"}
  judged = judge_claim(claim(measure=measure, threshold=0.999), {"clean": study}, scale="small")
  assert judged.verdict == "undecided"
  # Wilson's lower end of 20 of 20, as of scipy.stats.binomtest.
  assert (judged.low, judged.high) == pytest.approx((0.838875, 1), abs=1e-6)


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    ({"relation": ">"}, "relation must be one of >=, <=; got '>'"),
    ({"measure": {"name": "gap"}}, "measure must be one of"),
    ({"measure": {"name": "accuracy", "study": "clear", "model": "a"}}, "did you mean 'clean'"),
    (
      {"measure": {"name": "accuracy", "study": "robust", "model": "a"}},
      "must be of kind accuracy",
    ),
    (
      {"measure": {"name": "accuracy", "study": "clean", "model": "c"}},
      "models must be one of a, b",
    ),
    ({"treshold": 1}, "did you mean 'threshold'"),
  ],
)
def test_a_claim_that_could_not_be_judged_is_refused_before_the_run(changes, sentence):
  with pytest.raises(ValueError, match=sentence):
    check_claim(claim(**changes), SETTINGS, ["a", "b"], [0, 1])


def test_an_epsilon_that_the_study_does_not_measure_is_refused():
  measure = {**claim()["measure"], "epsilon": 0.3}
  with pytest.raises(ValueError, match=r"epsilon must be one of \[0.0, 0.2\], got 0.3"):
    check_claim(claim(measure=measure), SETTINGS, ["a", "b"], [0])


def test_a_good_claim_passes_the_check():
  check_claim(claim(), SETTINGS, ["a", "b"], [0, 1, 2])


def test_a_claim_about_people_is_not_judged_but_says_what_it_needs():
  about_people = {"statement": "People see it.", "source": "a test", "needs": "votes"}
  check_claim(about_people, SETTINGS, ["a"], [0])
  judged = judge_claim(about_people, {}, scale="small")
  assert (judged.verdict, judged.value, judged.scale) == ("needs votes", None, "small")
  with pytest.raises(ValueError, match="needs must be one of votes, a benchmark; got 'money'"):
    check_claim({**about_people, "needs": "money"}, SETTINGS, ["a"], [0])
