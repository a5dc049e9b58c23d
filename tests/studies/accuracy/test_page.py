import numpy as np
import pytest

from robust_saliency.drawing.formatting import percent_range
from robust_saliency.results.claims import Claim, measure
from robust_saliency.results.result import Result
from robust_saliency.studies.accuracy import Accuracy


def result(correct, seeds=(0, 7)) -> Result:
  study = Accuracy()
  layout = study.layout(("standard", "PGD"), seeds, dataset=None)
  return Result("clean", "accuracy", layout, {"correct": np.asarray(correct)})


@pytest.fixture
def clean(hits):
  # Of 8 examples: the first network 8 and 6 over its two seeds, the second 5 and 4.
  return result(hits([[8, 6], [5, 4]], 8))


def test_the_table_holds_the_means_that_a_hand_computes(clean):
  (table,) = Accuracy().page(clean, {}).tables
  rows = table.groups[0].rows
  # 8 and 6 of 8 are 100 % and 75 %; 5 and 4 of 8 are 62.5 % and 50 %.
  assert [row.cells[0] for row in rows] == ["87.5", "56.2"]
  assert [row.cells[2] for row in rows] == ["75.0 to 100.0", "50.0 to 62.5"]
  assert "8 test images, two networks" in table.caption


def test_the_sheet_holds_every_seed(clean):
  (sheet,) = Accuracy().page(clean, {}).sheets
  assert [row[1:] for row in sheet.rows] == [[0, 1.0, 8], [7, 0.75, 8], [0, 0.625, 8], [7, 0.5, 8]]


def test_one_seed_has_no_range_over_seeds_and_says_what_its_interval_is(clean):
  (table,) = Accuracy().page(result(clean.arrays["correct"][:, :1], seeds=(0,)), {}).tables
  assert list(table.columns) == ["Network", "Accuracy, %", "95 % interval"]
  assert "8 test images, one network" in table.caption


def test_an_array_of_another_shape_is_refused(clean):
  with pytest.raises(
    ValueError,
    match=r"array 'correct' of study 'clean' \(accuracy\) must have shape "
    r"\[model = 2, seed = 3, example\], got \[2, 2, 8\]",
  ):
    result(clean.arrays["correct"], seeds=(0, 1, 2))


@pytest.mark.parametrize("networks", [1, 2, 3])
def test_a_claim_and_the_table_have_the_same_interval(networks):
  right = np.random.default_rng(0).random((2, networks, 50)) < 0.9
  one = result(right, seeds=tuple(range(networks)))
  claim = Claim(id="C", says="", of="clean.correct", at={"model": "PGD"}, statistic="share")
  estimate = measure(claim, {"clean": one})
  (table,) = Accuracy().page(one, {}).tables
  assert table.groups[0].rows[1].cells[1] == percent_range(estimate.low, estimate.high)
  assert f"95 % interval over {estimate.over}" in table.caption
