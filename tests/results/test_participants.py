"""Tests with people as the unit, against SciPy's exact tests, and how often they are wrong."""

import numpy as np
import pytest
from scipy import stats

from robust_saliency.results import participants

PEOPLE = (6, 12, 40)
SIMULATIONS = 2000
QUESTIONS, METHODS = 10, 4


@pytest.mark.parametrize("people", [1, 5, 17, 200])
def test_of_one_question_each_it_is_the_binomial_test(people):
  random = np.random.default_rng(people)
  for _ in range(5):
    chosen = random.integers(METHODS, size=people)
    counts = np.eye(METHODS, dtype=int)[chosen]
    for method in range(METHODS):
      tails = [
        stats.binomtest(int(counts[:, method].sum()), people, 1 / METHODS, side).pvalue
        for side in ("less", "greater")
      ]
      found = participants.label_permutation(counts, method)
      assert found == pytest.approx(min(2 * min(tails), 1))


def test_of_two_methods_it_is_scipys_exact_permutation_test_of_pairs():
  random = np.random.default_rng(0)
  for people in (3, 6, 9):
    ours = random.integers(QUESTIONS + 1, size=people)
    counts = np.stack([ours, QUESTIONS - ours], axis=1)
    exact = stats.permutation_test(
      tuple(counts.T), lambda a, b, axis: np.mean(a - b, axis), vectorized=True,
      permutation_type="samples", n_resamples=np.inf,
    ).pvalue  # fmt: skip
    assert participants.label_permutation(counts, 0) == pytest.approx(exact)
    assert participants.sign_flips(counts[:, 0] - counts[:, 1]) == pytest.approx(exact)


def test_signs_of_differences_of_one_are_the_sign_test():
  random = np.random.default_rng(1)
  for people in (4, 30, 150):
    differences = random.choice([-1, 0, 1, 1], size=people)
    up, moved = int((differences > 0).sum()), int((differences != 0).sum())
    assert participants.sign_flips(differences) == pytest.approx(stats.binomtest(up, moved).pvalue)


def test_many_studies_at_once_are_as_one_by_one():
  counts = np.random.default_rng(2).multinomial(QUESTIONS, [0.4, 0.3, 0.3], size=(5, 7))
  of_all = participants.label_permutation(counts, 1)
  assert of_all == pytest.approx([float(participants.label_permutation(one, 1)) for one in counts])
  differences = counts[..., 0] - counts[..., 1]
  of_all = participants.sign_flips(differences)
  assert of_all == pytest.approx([float(participants.sign_flips(one)) for one in differences])


def test_the_interval_holds_what_scipys_test_by_signs_does_not_reject():
  random = np.random.default_rng(3)
  for people in (6, 8, 9):
    differences = random.integers(-3, 8, size=people)
    low, high = participants.sign_flip_interval(differences)

    def tail(theta, side, differences=differences):
      return stats.permutation_test(
        (differences - theta,), lambda d, axis: np.mean(d, axis), vectorized=True,
        permutation_type="samples", n_resamples=np.inf, alternative=side,
      ).pvalue  # fmt: skip

    assert tail(low - 1e-6, "greater") <= 0.025 < tail(low + 1e-6, "greater")
    assert tail(high + 1e-6, "less") <= 0.025 < tail(high - 1e-6, "less")


def test_fewer_than_six_people_have_no_interval_and_more_than_all_subsets_students():
  assert participants.sign_flip_interval([3, 4, 5, 6, 7]) == (-np.inf, np.inf)
  assert np.isfinite(participants.sign_flip_interval([3, 4, 5, 6, 7, 8])).all()
  shares = np.random.default_rng(4).integers(11, size=(2, participants.MOST_EXACT + 1)) / 10
  found = participants.difference(*shares, images_each=10)
  expected = stats.ttest_rel(*shares).confidence_interval()
  assert found[1:3] == pytest.approx(tuple(expected))
  one_less = participants.difference(*shares[:, 1:], images_each=10)
  assert one_less[1:3] == pytest.approx(
    tuple(stats.ttest_rel(*shares[:, 1:]).confidence_interval()), abs=0.01
  )


def test_a_mean_share_has_students_interval():
  shares = np.array([0.3, 0.5, 0.6, 0.4, 0.9])
  found = participants.mean_share(shares)
  expected = stats.ttest_1samp(shares, 0).confidence_interval()
  assert found[1:3] == pytest.approx(tuple(expected))
  assert (found.over, found.networks) == ("5 participants", 5)
  wide = participants.mean_share([0.0, 1.0, 1.0])
  assert (wide.low, wide.high) == (0, 1)


@pytest.mark.parametrize(
  ("shares", "over"),
  [
    ([0.5], "one participant; too few"),
    ([0.5, 0.7], "2 participants; too few"),
    ([0.5, 0.5, 0.5], "3 participants; all values are equal"),
  ],
)
def test_where_there_is_no_interval_it_says_why(shares, over):
  found = participants.mean_share(shares)
  assert (found.over, found.low, found.high) == (over, -np.inf, np.inf)


def test_equal_shares_and_missing_ones_decide_nothing():
  same = participants.difference([0.1] * 9, [0.1] * 9, images_each=10)
  assert (same.low, same.over) == (-np.inf, "9 participants; all values are equal")
  missing = participants.difference([0.1, np.nan], [0.1, 0.2], images_each=10)
  assert np.isnan(missing.value)


@pytest.mark.parametrize("counts", [[[0.5, 1]], [[-1, 2]], []])
def test_counts_that_are_none_are_refused(counts):
  with pytest.raises(ValueError, match="counts must be whole numbers >= 0, got"):
    participants.label_permutation(counts, 0)


def test_a_choice_that_there_is_not_is_refused():
  with pytest.raises(ValueError, match="choice must be"):
    participants.label_permutation([[1, 2]], 2)


@pytest.mark.peers
def test_holms_p_values_are_those_of_statsmodels():
  multitest = pytest.importorskip("statsmodels.stats.multitest")
  p_values = np.random.default_rng(5).random(20) ** 3
  expected = multitest.multipletests(p_values, method="holm")[1]
  assert participants.holm(p_values) == pytest.approx(expected)


def people_with_habits(random, people, share):
  """Votes of people who each have a probability of their own, on average `share`: [..., people]."""
  of_each = random.beta(4 * share, 4 * (1 - share), size=(SIMULATIONS, people))
  return random.binomial(QUESTIONS, of_each)


@pytest.mark.slow
@pytest.mark.parametrize("people", PEOPLE)
def test_labels_that_mean_nothing_are_found_to_mean_something_in_at_most_6_per_cent(people):
  random = np.random.default_rng(people)
  tastes = random.dirichlet([1.0] * METHODS, size=(SIMULATIONS, people))
  counts = random.multinomial(QUESTIONS, tastes)
  found = participants.label_permutation(counts, 0)
  assert (found <= 0.05).mean() <= 0.06
  assert (participants.sign_flips(counts[..., 0] - counts[..., 1]) <= 0.05).mean() <= 0.06
  # Votes taken for independent, as they are not, would be: the simulation does test the unit.
  pooled, chance = counts[..., 0].sum(axis=1), stats.binom(people * QUESTIONS, 1 / METHODS)
  tails = chance.cdf(pooled), chance.sf(pooled - 1)
  assert (2 * np.minimum(*tails) <= 0.05).mean() > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("people", PEOPLE)
def test_networks_that_fool_as_often_are_told_apart_in_at_most_6_per_cent(people):
  random = np.random.default_rng(people + 1)
  for share in (0.05, 0.4):
    of_each = random.beta(4 * share, 4 * (1 - share), size=(2, SIMULATIONS, people))
    ours, theirs = random.binomial(QUESTIONS, of_each)
    assert (participants.sign_flips(ours - theirs) <= 0.05).mean() <= 0.06
  intervals = [participants.sign_flip_interval(one) for one in (ours - theirs)[:200]]
  assert np.mean([not low <= 0 <= high for low, high in intervals]) <= 0.09  # 0.05 of 200, + 2.6 s


@pytest.mark.slow
@pytest.mark.parametrize("people", PEOPLE)
def test_a_share_of_just_1_3_times_the_rest_is_above_or_below_in_at_most_6_per_cent(people):
  truth = 1.3 / 2.3
  shares = people_with_habits(np.random.default_rng(people + 2), people, truth) / QUESTIONS
  estimates = [participants.mean_share(one) for one in shares]
  # Each is 2.5 % of a normal distribution; six people whose tastes are as far apart as can be are
  # none, and are said to be above in 3.6 % of 20,000 simulations and below in 2.1 %.
  assert np.mean([one.low > truth for one in estimates]) <= 0.06
  assert np.mean([one.high < truth for one in estimates]) <= 0.06


@pytest.mark.slow
def test_an_effect_is_found_as_often_as_it_should_be():
  random = np.random.default_rng(9)
  shares = people_with_habits(random, 40, 0.5)
  counts = np.stack([shares, QUESTIONS - shares, 0 * shares, 0 * shares], axis=-1)
  assert (participants.label_permutation(counts, 0) <= 0.05).mean() > 0.95
