import dataclasses

import numpy as np
import pytest

from robust_saliency.drawing.palette import model_styles
from robust_saliency.report import map_quality
from robust_saliency.studies.result import StudyResult

MODELS = ["plain", "regularised"]


@pytest.fixture
def study():
  """Six maps in each of two seeds; half of the second network's maps are zero."""
  values = np.tile(np.arange(1, 7) / 10, (2, 2, 1))
  values[0, :, -1] = 0.3
  values[1, :, ::2] = np.nan
  arrays = dict.fromkeys(("total_variation", "gini", "alignment"), values)
  facts = {"models": MODELS, "seeds": [0, 7], "method": {"name": "gradient", "label": "Gradient"}}
  return StudyResult("q", "map_quality", {**arrays, "is_zero": np.isnan(values)}, facts)


def draw(study):
  return map_quality.section(study, model_styles(MODELS))


def test_the_table_has_medians_quartiles_and_the_share_of_zero_maps(study):
  (table,) = draw(study).tables
  plain, regularised = table.groups[0].rows
  assert plain.cells[0] == "0.300 (0.200 to 0.400)"
  assert plain.cells[-1] == "0.0"
  # 0.2, 0.4 and 0.6 are left, of each seed.
  assert regularised.cells[1] == "0.400 (0.250 to 0.550)"
  assert regularised.cells[-1] == "50.0"


def test_the_reader_is_told_what_the_maps_are(study):
  assert draw(study).reading.endswith("The maps: Gradient.")


def test_there_is_a_picture_per_number(study):
  pictures = draw(study).pictures
  assert [picture.name for picture in pictures] == ["total variation", "gini", "alignment"]
  assert pictures[1].alt == (
    "Box plot, sparsity (gini index). Medians: plain 0.300; regularised 0.400."
  )


def test_the_sheet_holds_every_map(study):
  (sheet,) = draw(study).sheets
  assert sheet.rows[1] == ["plain", 0, 1, 0.2, 0.2, 0.2, False]
  assert len(sheet.rows) == 2 * 2 * 6


def test_a_network_all_of_whose_maps_are_zero_has_no_box(study):
  arrays = dict(study.arrays)
  for name in ("total_variation", "gini", "alignment"):
    arrays[name] = np.full_like(arrays[name], np.nan)
  arrays["is_zero"] = np.ones((2, 2, 6), bool)
  section = draw(dataclasses.replace(study, arrays=arrays))
  assert section.tables[0].groups[0].rows[0].cells[0] == "n/a"
  assert "plain n/a" in section.pictures[0].alt
