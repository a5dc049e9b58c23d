import dataclasses

import numpy as np
import pytest

from robust_saliency.drawing.palette import model_styles
from robust_saliency.results.result import Result
from robust_saliency.studies.map_quality import MapQuality

MODELS = ("plain", "regularised")
STUDY = MapQuality(attribution={"name": "gradient"})


@pytest.fixture
def result():
  """Six maps in each of two seeds; half of the second network's maps are zero."""
  values = np.tile(np.arange(1, 7) / 10, (2, 2, 1))
  values[0, :, -1] = 0.3
  values[1, :, ::2] = np.nan
  arrays = dict.fromkeys(("total_variation", "gini", "alignment"), values)
  return Result(
    "q",
    "map_quality",
    STUDY.layout(MODELS, (0, 7), dataset=None),
    {**arrays, "is_zero": np.isnan(values)},
    {"method": {"name": "gradient", "label": "Gradient"}},
  )


def draw(result):
  return STUDY.page(result, model_styles(MODELS))


def test_the_table_has_medians_quartiles_and_the_share_of_zero_maps(result):
  (table,) = draw(result).tables
  plain, regularised = table.groups[0].rows
  assert plain.cells[0] == "0.300 (0.200 to 0.400)"
  assert plain.cells[-1] == "0.0"
  # 0.2, 0.4 and 0.6 are left, of each seed.
  assert regularised.cells[1] == "0.400 (0.250 to 0.550)"
  assert regularised.cells[-1] == "50.0"


def test_the_reader_is_told_what_the_maps_are(result):
  assert draw(result).reading.endswith("The maps: Gradient.")


def test_there_is_a_picture_per_statistic(result):
  pictures = draw(result).pictures
  assert [picture.name for picture in pictures] == ["total variation", "gini", "alignment"]
  assert pictures[1].alt == (
    "Box plot, sparsity (gini index). Medians: plain 0.300; regularised 0.400."
  )


def test_the_sheet_holds_every_map(result):
  (sheet,) = draw(result).sheets
  assert sheet.rows[1] == ["plain", 0, 1, 0.2, 0.2, 0.2, False]
  assert len(sheet.rows) == 2 * 2 * 6


def test_a_network_all_of_whose_maps_are_zero_has_no_box(result):
  arrays = dict(result.arrays)
  for name in ("total_variation", "gini", "alignment"):
    arrays[name] = np.full_like(arrays[name], np.nan)
  arrays["is_zero"] = np.ones((2, 2, 6), bool)
  section = draw(dataclasses.replace(result, arrays=arrays))
  assert section.tables[0].groups[0].rows[0].cells[0] == "n/a"
  assert "plain n/a" in section.pictures[0].alt


def test_a_network_without_numbers_is_neither_zero_nor_not(result):
  arrays = {name: values.astype(np.float64) for name, values in result.arrays.items()}
  for values in arrays.values():
    values[0, 1] = np.nan
  section = draw(dataclasses.replace(result, arrays=arrays))
  assert [row.cells[-1] for row in section.tables[0].groups[0].rows] == ["n/a", "50.0"]
  flags = [row[-1] for row in section.sheets[0].rows if row[0] == "plain"]
  assert flags[:6] == [False] * 6
  assert np.isnan(flags[6:]).all()
