"""Measures on hand-made results."""

import numpy as np

from robust_saliency.studies import MEASURES, StudyResult, judge_claim


def test_the_share_of_accuracy_that_is_kept_is_a_ratio_of_means():
  correct = np.array([[[1, 1, 0, 0]], [[1, 1, 1, 1]]], bool)
  study = StudyResult("c", "accuracy", {"correct": correct}, {"models": ["a", "b"]})
  kept = MEASURES["accuracy_kept"]({"c": study}, study="c", model="a", baseline="b")
  assert kept.value == 0.5


def test_a_network_keeps_all_of_the_accuracy_of_its_own_copy():
  correct = np.repeat(np.arange(1000)[None, None] < 900, 2, axis=0)
  study = StudyResult("c", "accuracy", {"correct": correct}, {"models": ["a", "b"]})
  claim = {
    "statement": "a keeps at least 0.99.", "source": "a test", "relation": ">=", "threshold": 0.99,
    "measure": {"name": "accuracy_kept", "study": "c", "model": "a", "baseline": "b"},
  }  # fmt: skip
  judged = judge_claim(claim, {"c": study}, scale="")
  assert judged.value == 1
  assert 0.995 < judged.low < 1 < judged.high < 1.005
  assert judged.verdict == "holds in this run"


NAMES = [f"n{i}" for i in range(12)]


def test_the_best_of_equals_is_not_better_than_they_are():
  # Twelve networks, each right on any image with 0.5, against another like them.
  random = np.random.default_rng(0)
  values = []
  for _ in range(200):
    right = random.random((13, 1, 100)) < 0.5
    facts = {
      "models": ["plain", *NAMES], "reference": "plain",
      "families": {"f": dict.fromkeys(NAMES, 1.0)},
    }  # fmt: skip
    study = StudyResult("s", "selection", {"attacked": right}, facts)
    values.append(MEASURES["best_of_family"]({"s": study}, study="s", family="f").value)
  assert abs(np.mean(values)) < 4 * 0.1 / np.sqrt(200)


def test_the_best_of_a_family_is_held_against_the_reference_or_another_family():
  # The first and third image choose a2, which has one of the others.
  attacked = np.array([[[1, 0, 0, 0]], [[0, 1, 0, 1]], [[1, 1, 1, 0]], [[1, 1, 1, 1]]], bool)
  facts = {
    "models": ["plain", "a1", "a2", "b1"],
    "families": {"a": {"a1": 1, "a2": 2}, "b": {"b1": 1}},
    "reference": "plain",
  }
  results = {"s": StudyResult("s", "selection", {"attacked": attacked}, facts)}
  best = MEASURES["best_of_family"](results, study="s", family="a")
  assert (best.value, best.over) == (0.5, "2 validation images, one network, chosen on 2 others")
  against_b = MEASURES["best_of_family"](results, study="s", family="a", baseline="b")
  assert against_b.value == -0.5
  # One candidate is no choice: all images judge.
  alone = MEASURES["best_of_family"](results, study="s", family="b")
  assert (alone.value, alone.over) == (0.75, "4 validation images, one network")
