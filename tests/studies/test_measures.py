"""Measures on hand-made results."""

import numpy as np
import pytest
from robust_saliency.studies.estimates import median_interval
from scipy import stats

from robust_saliency.studies import MEASURES, StudyResult


def transfer(correct):
  """[S, E, made for, tested on, N] as a result of the models a and b."""
  facts = {"models": ["a", "b"], "epsilons": [0.1, 0.2]}
  return {"t": StudyResult("t", "transfer", {"correct": np.array(correct, bool)}, facts)}


def gradients(a, b):
  """Lengths of one seed for the label y."""
  lengths = np.stack([np.array([a]), np.array([b])])[None]
  facts = {"models": ["a", "b"], "targets": ["y"]}
  return {"g": StudyResult("g", "gradients", {"lengths": lengths}, facts)}


CORRECT = np.zeros((1, 2, 2, 2, 4), bool)
CORRECT[0, 1, 0, 0, :1] = True  # made for a at 0.2: a keeps 1 of 4,
CORRECT[0, 1, 0, 1, :3] = True  # and b 3 of 4


def test_transfer_measures_ask_the_target_on_the_source_s_examples():
  settings = {"study": "t", "source": "a", "epsilon": 0.2}
  results = transfer(CORRECT)
  assert MEASURES["transfer_accuracy"](results, target="b", **settings).mean() == 0.75
  gap = MEASURES["transfer_accuracy_gap"](results, target="b", baseline="a", **settings)
  np.testing.assert_array_equal(gap, [[0, 1, 1, 0]])
  assert MEASURES["highest_transfer_accuracy"](results, **settings).mean() == 0.75
  settings["source"] = "b"
  assert MEASURES["highest_transfer_accuracy"](results, **settings).mean() == 0


def test_the_median_s_interval_holds_it_as_often_as_it_says():
  random = np.random.default_rng(0)
  held = [low <= 0 <= high for low, high in (
    median_interval(random.standard_cauchy(41)) for _ in range(2000)
  )]  # fmt: skip
  assert 0.95 - 0.01 <= np.mean(held) <= 0.99
  # SciPy's own: the same two order statistics.
  values = random.normal(size=41)
  theirs = stats.quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
  assert median_interval(values) == (theirs.low, theirs.high)


def test_gradient_measures_compare_medians_and_count_exact_zeros():
  random = np.random.default_rng(0)
  b = random.uniform(1, 2, 200)
  a = 100 * b
  a[:10] = 0
  results = gradients(a, b)
  assert MEASURES["gradient_is_zero"](results, study="g", model="a").mean() == 0.05
  ratio = MEASURES["gradient_log_ratio"](results, study="g", model="a", baseline="b")
  assert ratio.low < 2 < ratio.high
  assert ratio.value == pytest.approx(2, abs=0.05)
  assert ratio.low > 1.8


def test_a_median_of_zero_is_the_floor_of_float32():
  results = gradients(np.zeros(50), np.ones(50))
  ratio = MEASURES["gradient_log_ratio"](results, study="g", model="a", baseline="b")
  assert ratio.value == pytest.approx(np.log10(np.finfo(np.float32).smallest_subnormal))


def test_the_share_of_accuracy_that_is_kept_is_a_ratio_of_means():
  correct = np.array([[[1, 1, 0, 0]], [[1, 1, 1, 1]]], bool)
  study = StudyResult("c", "accuracy", {"correct": correct}, {"models": ["a", "b"]})
  kept = MEASURES["accuracy_kept"]({"c": study}, study="c", model="a", baseline="b")
  assert kept.mean() == 0.5


def test_the_change_between_radii_is_read_off_the_transfer_grid():
  change = MEASURES["transfer_accuracy_change"](
    transfer(CORRECT), study="t", source="a", target="b", epsilon=0.2, smaller_epsilon=0.1
  )
  assert change.mean() == 0.75


def test_the_largest_drop_is_that_of_the_network_and_radius_that_lose_most():
  correct = np.ones((1, 3, 2, 2, 4), bool)
  correct[0, 0, 0, 0, 0] = False  # the smallest radius takes one image from a,
  correct[0, 1, 0, 0, :2] = False  # the next one more,
  correct[0, 1, 0, 1, :2] = False  # and two from b;
  correct[0, 2, 1, 1] = False  # what is made for b does not count.
  facts = {"models": ["a", "b"], "epsilons": [0.0, 0.1, 0.2]}
  results = {"t": StudyResult("t", "transfer", {"correct": correct}, facts)}
  drop = MEASURES["largest_transfer_drop"](results, study="t", source="a")
  np.testing.assert_array_equal(drop, [[1, 1, 0, 0]])


def test_a_floor_stands_for_what_is_below_it():
  results = gradients(np.zeros(50), np.ones(50))
  settings = {"study": "g", "model": "a", "baseline": "b"}
  assert MEASURES["gradient_log_ratio"](results, **settings, floor=1e-17).value == -17
  gap = MEASURES["gradient_length_gap"](results, **settings)
  np.testing.assert_array_equal(gap, -np.ones((1, 50)))


def test_jointly_fooled_is_the_intersection_over_the_union():
  # Made for a at 0.2, a gets 3 of 4 wrong and b one of these.
  jointly = MEASURES["jointly_fooled"](
    transfer(CORRECT), study="t", source="a", targets=["a", "b"], epsilon=0.2
  )
  assert jointly.shape == (1, 3)
  assert jointly.mean() == pytest.approx(1 / 3)
  seeds = np.concatenate([CORRECT, np.ones_like(CORRECT)])
  per_seed = MEASURES["jointly_fooled"](
    transfer(seeds), study="t", source="a", targets=["a", "b"], epsilon=0.2
  )
  np.testing.assert_allclose(per_seed, [[1 / 3], [0]])


def test_log_probabilities_of_the_other_classes_leave_the_predicted_one_out():
  probabilities = np.array([[0.5, 0.25, 0.25], [0.8, 0.1, 0.1]])
  arrays = {"log_probabilities": np.log(np.stack([probabilities, probabilities[::-1]])[:, None])}
  study = StudyResult("g", "gradients", arrays, {"models": ["a", "b"]})
  value = MEASURES["other_log_probability"]({"g": study}, study="g", model="a")
  np.testing.assert_allclose(value, np.log([[0.25, 0.1]]))
  gap = MEASURES["other_log_probability_gap"]({"g": study}, study="g", model="a", baseline="b")
  np.testing.assert_allclose(gap, np.log([[2.5, 0.4]]))


def test_the_best_of_a_family_is_held_against_the_reference_or_another_family():
  attacked = np.array([[[1, 0, 0, 0]], [[1, 1, 0, 0]], [[1, 1, 1, 0]], [[1, 1, 1, 1]]], bool)
  facts = {
    "models": ["plain", "a1", "a2", "b1"],
    "families": {"a": {"a1": 1, "a2": 2}, "b": {"b1": 1}},
    "reference": "plain",
  }
  results = {"s": StudyResult("s", "selection", {"attacked": attacked}, facts)}
  assert MEASURES["best_of_family"](results, study="s", family="a").value == 0.5
  against_b = MEASURES["best_of_family"](results, study="s", family="a", baseline="b")
  assert against_b.value == -0.25
  assert "validation images" in against_b.over
