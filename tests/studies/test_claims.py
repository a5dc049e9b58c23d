"""Verdicts and intervals against SciPy's own confidence intervals and hand-made results."""

import numpy as np
import pytest
from robust_saliency.studies.estimates import mean_interval
from scipy import stats

from robust_saliency.studies import StudyResult, check_claim, judge_claim
from robust_saliency.studies.claims import judge

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


def test_the_interval_is_students():
  values = np.random.default_rng(0).normal(size=5)
  expected = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
  mean, low, high = mean_interval(values)
  np.testing.assert_allclose((low, high), expected)
  assert mean == pytest.approx(values.mean())


@pytest.mark.parametrize(
  ("low", "high", "relation", "verdict"),
  [
    (0.25, 0.3, ">=", "supported"),
    (0.2, 0.3, ">=", "undecided"),
    (0.1, 0.24, ">=", "refuted"),
    (0.1, 0.25, "<=", "supported"),
    (0.2, 0.3, "<=", "undecided"),
    (0.26, 0.3, "<=", "refuted"),
  ],
)
def test_the_verdict_says_on_which_side_the_whole_interval_lies(low, high, relation, verdict):
  assert judge(low, high, relation, 0.25) == verdict


def test_a_gap_is_paired_by_seed():
  # Two seeds of four examples, at epsilons 0 and 0.2: the gaps at 0.2 are 0.75 and 0.5.
  a = [[[1, 1, 1, 1], [1, 1, 1, 0]], [[1, 1, 1, 1], [1, 1, 0, 0]]]
  b = [[[1, 1, 1, 1], [0, 0, 0, 0]], [[1, 1, 1, 1], [0, 0, 0, 0]]]
  judged = judge_claim(claim(), robustness([[a, b]]), scale="small")
  assert judged.value == pytest.approx(0.625)
  assert judged.interval == "95 % over 2 seeds"
  assert judged.scale == "small"
  assert judged.verdict == "undecided"  # two seeds are few: the interval is wide


def test_with_one_seed_the_interval_is_over_examples():
  ones, zeros = [[[1] * 50, [1] * 50]], [[[1] * 50, [0] * 45 + [1] * 5]]
  judged = judge_claim(claim(), robustness([[ones, zeros]]), scale="small")
  assert judged.value == pytest.approx(0.9)
  assert judged.interval == "95 % over 50 test examples, one seed"
  assert judged.verdict == "supported"


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
