import dataclasses

import numpy as np
import pytest

from robust_saliency.drawing.palette import model_styles
from robust_saliency.report import gradients


@pytest.fixture
def section(gradients_study):
  return gradients.section(gradients_study, model_styles(gradients_study.facts["models"]))


def test_the_table_holds_medians_means_and_the_share_of_zeros(section):
  (table,) = section.tables
  first, second = table.groups[0].rows
  # Lengths 1, 2, ..., 8 in two seeds; and half of them zero.
  assert first.cells[:2] == ["4.500", "4.500"]
  assert second.cells[:2] == ["1.000", "2.500"]
  assert len(table.columns) == 1 + len(first.cells)
  assert first.cells[-1] == "0.0"
  assert second.cells[-1] == "50.0"


def test_there_is_a_picture_per_target_and_one_of_the_log_probabilities(section):
  assert [picture.name for picture in section.pictures] == [
    "lengths of y", "lengths of y + 1", "log-probabilities",
  ]  # fmt: skip
  assert "Medians" in section.pictures[0].alt
  assert "square: mean" in section.pictures[0].caption


def test_the_sheet_holds_every_length(section, gradients_study):
  (sheet,) = section.sheets
  assert len(sheet.rows) == gradients_study.arrays["lengths"].size
  assert sheet.rows[0] == ["y", "standard", 0, 0, 1.0]


def test_the_axis_reaches_the_mean_beyond_the_whiskers():
  rare = np.zeros(100)
  rare[:3] = 1e5
  assert gradients._decades([rare, np.full(100, 0.2)]) == (-1, 4)
  assert gradients._decades([np.zeros(3), np.array([])]) == (-1, 0)


def test_means_stand_where_lengths_do_and_networks_without_any_have_none(
  gradients_study, monkeypatch
):
  drawn = []

  def draw(values, styles, paint, **rest):
    drawn.append((values, rest["means"]))
    return (4.0, 3.0), b"", b""

  monkeypatch.setattr(gradients.boxes, "draw", draw)
  lengths = np.full((2, 2, 2, 8), 1e-4)
  lengths[0, 0, :, 0] = np.inf
  lengths[0, 1] = np.nan
  lengths[1, 0] = 0
  arrays = {**gradients_study.arrays, "lengths": lengths}
  study = dataclasses.replace(gradients_study, arrays=arrays)
  section = gradients.section(study, model_styles(study.facts["models"]))
  (values, means), (_, of_other) = drawn
  assert [len(of_model) for of_model in values] == [14, 0]
  np.testing.assert_allclose(means, [-4, np.nan])
  assert of_other[0] < -4  # in the strip of zeros
  np.testing.assert_allclose(of_other[1], -4)
  assert section.tables[0].groups[0].rows[1].cells[0] == "n/a"


def with_log_probabilities(study, *of_models):
  shape = study.arrays["log_probabilities"].shape[1:]
  values = np.stack([np.resize(one, shape) for one in of_models])
  return dataclasses.replace(study, arrays={**study.arrays, "log_probabilities": values})


def test_networks_of_far_lower_log_probabilities_have_a_histogram_of_their_own(gradients_study):
  near, far = np.linspace(-30, 0, 48), np.linspace(-500, 0, 48)
  styles = model_styles(gradients_study.facts["models"])
  study = with_log_probabilities(gradients_study, near, far)
  first, second = gradients.section(study, styles).pictures[2:]
  assert "of standard, in 50 bins from −30.0 to 0" in first.caption
  assert f"of {gradients_study.facts['models'][1]}, in 50 bins from −500.0 to 0" in second.caption
  assert second.name == "lower log-probabilities"
  for values in (near, far):
    study = with_log_probabilities(gradients_study, values, values / 2 - 60)
    assert len(gradients.section(study, styles).pictures) == 3


def test_log_probabilities_that_are_not_finite_are_left_out(gradients_study):
  study = with_log_probabilities(gradients_study, np.linspace(-30, 0, 48), [np.nan])
  pictures = gradients.section(study, model_styles(study.facts["models"])).pictures
  assert "from −30.0 to 0" in pictures[-1].caption


@pytest.mark.parametrize("value", [0.0, 1e-40, 3.0])
def test_networks_whose_gradients_are_all_alike_are_drawn(gradients_study, value):
  lengths = np.full_like(gradients_study.arrays["lengths"], value)
  arrays = {**gradients_study.arrays, "lengths": lengths}
  study = dataclasses.replace(gradients_study, arrays=arrays)
  pictures = gradients.section(study, model_styles(study.facts["models"])).pictures
  assert all(picture.svg.startswith(b"<?xml") for picture in pictures)
