import dataclasses

import pytest

from robust_saliency.report import accuracy


def test_the_table_holds_the_means_that_a_hand_computes(accuracy_study):
  (table,) = accuracy.section(accuracy_study, {}).tables
  rows = table.groups[0].rows
  # 8 and 6 of 8 are 100 % and 75 %; 5 and 4 of 8 are 62.5 % and 50 %.
  assert [row.cells[0] for row in rows] == ["87.5", "56.2"]
  assert [row.cells[2] for row in rows] == ["75.0 to 100.0", "50.0 to 62.5"]
  assert "8 test images, two networks" in table.caption


def test_the_sheet_holds_every_seed(accuracy_study):
  (sheet,) = accuracy.section(accuracy_study, {}).sheets
  assert [row[1:] for row in sheet.rows] == [[0, 1.0, 8], [7, 0.75, 8], [0, 0.625, 8], [7, 0.5, 8]]


def test_one_seed_has_no_range_over_seeds_and_says_what_its_interval_is(accuracy_study):
  one = dataclasses.replace(
    accuracy_study,
    arrays={"correct": accuracy_study.arrays["correct"][:, :1]},
    facts={**accuracy_study.facts, "seeds": [0]},
  )
  (table,) = accuracy.section(one, {}).tables
  assert list(table.columns) == ["Network", "Accuracy, %", "95 % interval"]
  assert "8 test images, one network" in table.caption


def test_an_array_of_another_shape_is_refused(accuracy_study):
  facts = {**accuracy_study.facts, "seeds": [0, 1, 2]}
  with pytest.raises(
    ValueError,
    match=r"array 'correct' of study 'clean' \(accuracy\) must have shape "
    r"\[models = 2, seeds = 3, examples\], got \[2, 2, 8\]",
  ):
    accuracy.section(dataclasses.replace(accuracy_study, facts=facts), {})


def test_a_study_without_examples_is_refused(accuracy_study):
  arrays = {"correct": accuracy_study.arrays["correct"][..., :0]}
  with pytest.raises(ValueError, match=r"examples\], got \[2, 2, 0\]"):
    accuracy.section(dataclasses.replace(accuracy_study, arrays=arrays), {})


def test_a_missing_fact_is_named(accuracy_study):
  with pytest.raises(ValueError, match=r"study 'clean' .* needs the fact 'models'"):
    accuracy.section(dataclasses.replace(accuracy_study, facts={"seeds": [0, 7]}), {})
