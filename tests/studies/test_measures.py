"""Measures on hand-made results."""

import numpy as np
import pytest

from robust_saliency.studies import MEASURES, StudyResult, judge_claim


def transfer(correct):
  """[S, E, made for, tested on, N] as a result of the models a and b."""
  facts = {"models": ["a", "b"], "epsilons": [0.1, 0.2]}
  return {"t": StudyResult("t", "transfer", {"correct": np.array(correct, bool)}, facts)}


CORRECT = np.zeros((1, 2, 2, 2, 4), bool)
CORRECT[0, 1, 0, 0, :1] = True  # made for a at 0.2: a keeps 1 of 4,
CORRECT[0, 1, 0, 1, :3] = True  # and b 3 of 4


def test_transfer_measures_ask_the_target_on_the_source_s_examples():
  settings = {"study": "t", "source": "a", "epsilon": 0.2}
  results = transfer(CORRECT)
  assert MEASURES["transfer_accuracy"](results, target="b", **settings).value == 0.75
  gap = MEASURES["transfer_accuracy_gap"](results, target="b", baseline="a", **settings)
  assert gap.value == 0.5
  # The first and third image choose b, the second and fourth judge it.
  highest = MEASURES["highest_transfer_accuracy"](results, **settings)
  assert (highest.value, highest.over) == (0.5, "2 test images, one network, chosen on 2 others")
  settings["source"] = "b"
  assert MEASURES["highest_transfer_accuracy"](results, **settings).value == 0


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


def test_the_change_between_radii_is_read_off_the_transfer_grid():
  change = MEASURES["transfer_accuracy_change"](
    transfer(CORRECT), study="t", source="a", target="b", epsilon=0.2, smaller_epsilon=0.1
  )
  assert change.value == 0.75


def test_the_largest_drop_is_chosen_on_one_half_of_the_images_and_judged_on_the_other():
  correct = np.ones((1, 3, 2, 2, 8), bool)
  correct[0, 0, 0, 0, 0] = False  # the smallest radius takes one image from a,
  correct[0, 1, 0, 0, :4] = False  # the next one three more,
  correct[0, 1, 0, 1, 1::2] = False  # and four from b, none of them a choosing one;
  correct[0, 2, 1, 1] = False  # what is made for b does not count.
  facts = {"models": ["a", "b"], "epsilons": [0.0, 0.1, 0.2]}
  results = {"t": StudyResult("t", "transfer", {"correct": correct}, facts)}
  drop = MEASURES["largest_transfer_drop"](results, study="t", source="a")
  assert (drop.value, drop.over) == (0.5, "4 test images, one network, chosen on 4 others")


NAMES = [f"n{i}" for i in range(12)]


@pytest.mark.parametrize("name", ["best_of_family", "largest_transfer_drop"])
def test_the_best_of_equals_is_not_better_than_they_are(name):
  # Twelve networks, each right on any image with 0.5, against another like them.
  random = np.random.default_rng(0)
  values = []
  for _ in range(200):
    right = random.random((13, 1, 100)) < 0.5
    if name == "best_of_family":
      facts = {
        "models": ["plain", *NAMES], "reference": "plain",
        "families": {"f": dict.fromkeys(NAMES, 1.0)},
      }  # fmt: skip
      study = StudyResult("s", "selection", {"attacked": right}, facts)
      settings = {"family": "f"}
    else:
      correct = np.stack([right[:12], random.random((12, 1, 100)) < 0.5])  # at two radii
      correct = np.repeat(correct[:, :, 0][None, :, None], 12, axis=2)
      study = StudyResult(
        "s", "transfer", {"correct": correct}, {"models": NAMES, "epsilons": [0.1, 0.2]}
      )
      settings = {"source": "n0"}
    values.append(MEASURES[name]({"s": study}, study="s", **settings).value)
  assert abs(np.mean(values)) < 4 * 0.1 / np.sqrt(200)


def test_jointly_fooled_is_the_intersection_over_the_union():
  # Made for a at 0.2, a gets 3 of 4 wrong and b one of these.
  jointly = MEASURES["jointly_fooled"](
    transfer(CORRECT), study="t", source="a", targets=["a", "b"], epsilon=0.2
  )
  assert jointly.value == pytest.approx(1 / 3)
  assert jointly.over == "3 images that fool any, one network"


@pytest.mark.parametrize("seeds", [1, 3])
def test_where_nothing_is_fooled_nobody_can_say_whether_few_fool_both(seeds):
  claim = {
    "statement": "Few fool both.", "source": "a test", "relation": "<=", "threshold": 0.25,
    "measure": {
      "name": "jointly_fooled", "study": "t", "source": "a", "targets": ["a", "b"], "epsilon": 0.2,
    },
  }  # fmt: skip
  judged = judge_claim(claim, transfer(np.ones((seeds, 2, 2, 2, 4))), scale="")
  assert np.isnan(judged.value)
  assert judged.verdict == "undecided"


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
