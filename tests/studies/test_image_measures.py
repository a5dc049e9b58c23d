"""Measures of targeted images and of maps, on hand-made results."""

import numpy as np
import pytest

from robust_saliency.studies import MEASURES, StudyResult, check_claim, judge_claim

LABELS = np.array([0, 2])


@pytest.fixture
def targeted():
  """Models a, b, c; two originals, three targets."""
  predictions = np.zeros((3, 3, 2, 3), int)
  predictions[:] = LABELS[:, None]  # everybody reads the label
  predictions[0, 0] = np.arange(3)  # a reads its own targets,
  predictions[0, 1, 0] = [0, 1, 0]  # b one of the first original's two
  arrays = {"predictions": predictions, "labels": LABELS, "targets": np.arange(3)}
  return {"t": StudyResult("t", "targeted", arrays, {"models": ["a", "b", "c"]})}


def map_quality(a, b):
  arrays = {"gini": np.array([a, b], np.float64)}
  return {"q": StudyResult("q", "map_quality", arrays, {"models": ["a", "b"]})}


def test_the_target_rate_leaves_untouched_images_out(targeted):
  assert MEASURES["target_rate"](targeted, study="t", model="a", tested_on="a").value == 1
  assert MEASURES["target_rate"](targeted, study="t", model="b", tested_on="a").value == 0


def test_the_transfer_hit_rate_asks_all_other_networks(targeted):
  # Of the first original b reads 1 of 2, c none; of the second nobody any.
  assert MEASURES["target_rate"](targeted, study="t", model="a").value == 0.125
  gap = MEASURES["target_rate_gap"](targeted, study="t", model="b", baseline="a")
  assert gap.value == -0.125
  assert "one network" in gap.over


def test_strokes_are_groups_of_changed_pixels_that_touch():
  images = np.zeros((1, 4, 4, 1), np.uint8)
  adversarial = np.zeros((2, 1, 2, 4, 4, 1), np.uint8)
  adversarial[0, 0, 1, [0, 1, 2], [0, 1, 2]] = 255  # one diagonal stroke of three,
  adversarial[1, 0, 1, [0, 0, 3], [0, 3, 0]] = 255  # three pixels apart
  arrays = {
    "images": images, "adversarial": adversarial, "labels": np.zeros(1, int),
    "targets": np.arange(2),
  }  # fmt: skip
  results = {"t": StudyResult("t", "targeted", arrays, {"models": ["a", "b"]})}
  gap = MEASURES["stroke_size_gap"](results, study="t", model="a", baseline="b")
  assert gap.value == 2


def test_a_single_network_has_no_others(targeted):
  alone = StudyResult("t", "targeted", targeted["t"].arrays, {"models": ["a"]})
  with pytest.raises(ValueError, match="tested_on must be given where the study has one network"):
    MEASURES["target_rate"]({"t": alone}, study="t", model="a")


def test_maps_are_compared_where_both_have_the_number():
  results = map_quality([[0.5, np.nan, 0.75, 0.5]], [[0.25, 0.5, np.nan, 0.0]])
  settings = {"study": "q", "model": "a", "baseline": "b", "number": "gini"}
  gap = MEASURES["map_quality_gap"](results, **settings)
  assert (gap.value, gap.over) == (0.375, "2 test images, one network; too few")
  of_seeds = map_quality([[0.5, np.nan], [1.0, 0.0]], [[0.25, 0.5], [0.0, 0.5]])
  assert MEASURES["map_quality_gap"](of_seeds, **settings).value == 0.25


def claim(name, **settings):
  return {
    "statement": "x", "source": "y", "relation": ">=", "threshold": 0.1,
    "measure": {"name": name, **settings},
  }  # fmt: skip


def test_maps_that_are_all_zero_decide_nothing():
  results = map_quality([[np.nan] * 3], [[0.5] * 3])
  settings = {"study": "q", "model": "a", "baseline": "b", "number": "gini"}
  judged = judge_claim(claim("map_quality_gap", **settings), results, scale="")
  assert judged.verdict == "undecided"


STUDIES = {
  "t": {"kind": "targeted", "attack": {"name": "jsma"}},
  "q": {"kind": "map_quality", "attribution": {"name": "gradient"}},
}


@pytest.mark.parametrize(
  ("name", "settings"),
  [
    ("target_rate", {"study": "t", "model": "a"}),
    ("target_rate", {"study": "t", "model": "a", "tested_on": "b"}),
    ("target_rate_gap", {"study": "t", "model": "a", "baseline": "b"}),
    ("map_quality_gap", {"study": "q", "model": "a", "baseline": "b", "number": "alignment"}),
  ],
)
@pytest.mark.parametrize("seeds", [[0], [0, 1]])
def test_claims_with_these_measures_pass_the_check_before_the_run(name, settings, seeds):
  check_claim(claim(name, **settings), STUDIES, ["a", "b"], seeds)


@pytest.mark.parametrize(
  ("name", "settings", "sentence"),
  [
    ("target_rate", {"study": "t", "model": "d"}, "models must be one of a, b; got 'd'"),
    ("target_rate", {"study": "q", "model": "a"}, "must be of kind targeted"),
    (
      "map_quality_gap",
      {"study": "q", "model": "a", "baseline": "b", "number": "ginni"},
      r"number must be one of .* \(did you mean 'gini'\?\)",
    ),
  ],
)
def test_others_are_refused(name, settings, sentence):
  with pytest.raises(ValueError, match=sentence):
    check_claim(claim(name, **settings), STUDIES, ["a", "b"], [0])
