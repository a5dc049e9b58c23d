import dataclasses

import numpy as np
import pytest

from robust_saliency.report import gradients
from robust_saliency.report.palette import model_styles


@pytest.fixture
def section(gradients_study):
  return gradients.section(gradients_study, model_styles(gradients_study.facts["models"]))


def test_the_table_holds_medians_and_the_share_of_zeros(section):
  (table,) = section.tables
  first, second = table.groups[0].rows
  # Lengths 1, 2, ..., 8 in two seeds; and half of them zero.
  assert first.cells[0] == "4.500"
  assert first.cells[-1] == "0.0"
  assert second.cells[-1] == "50.0"


def test_there_is_a_picture_per_target_and_one_of_the_log_probabilities(section):
  assert [picture.name for picture in section.pictures] == [
    "lengths of y", "lengths of y + 1", "log-probabilities",
  ]  # fmt: skip
  assert "Medians" in section.pictures[0].alt


def test_the_sheet_holds_every_length(section, gradients_study):
  (sheet,) = section.sheets
  assert len(sheet.rows) == gradients_study.arrays["lengths"].size
  assert sheet.rows[0] == ["y", "standard", 0, 0, 1.0]


@pytest.mark.parametrize("value", [0.0, 1e-40, 3.0])
def test_networks_whose_gradients_are_all_alike_are_drawn(gradients_study, value):
  lengths = np.full_like(gradients_study.arrays["lengths"], value)
  arrays = {**gradients_study.arrays, "lengths": lengths}
  study = dataclasses.replace(gradients_study, arrays=arrays)
  pictures = gradients.section(study, model_styles(study.facts["models"])).pictures
  assert all(picture.svg.startswith(b"<?xml") for picture in pictures)
