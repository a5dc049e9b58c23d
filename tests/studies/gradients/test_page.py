import dataclasses
import types

import numpy as np
import pytest

from robust_saliency.drawing.palette import model_styles
from robust_saliency.results.result import Result
from robust_saliency.studies.gradients import Gradients, page

MODELS = ("standard", "PGD & <script>alert('x')</script> $\\frac$")
STYLES = model_styles(MODELS)
LAYOUT = Gradients().layout(MODELS, (0, 7), types.SimpleNamespace(classes=("a", "b", "c")))


@pytest.fixture
def result():
  norms = np.tile(np.arange(1.0, 9), (3, 2, 2, 1))  # [target, model, seed, example]
  norms[:, 1, :, ::2] = 0
  log_probabilities = np.log(np.random.default_rng(0).dirichlet(np.ones(3), (2, 2, 8)))
  arrays = {
    "gradient_norm": norms, "is_zero": norms == 0, "log_probabilities": log_probabilities,
    "other_log_probability": np.zeros((2, 2, 8)),
    **dict.fromkeys(("mean_square", "log_spread"), np.zeros((3, 2, 2))),
  }  # fmt: skip
  return Result("norms", "gradients", LAYOUT, arrays)


def with_arrays(result, **arrays):
  return dataclasses.replace(result, arrays={**result.arrays, **arrays})


def draw(result):
  return Gradients().page(result, STYLES)


@pytest.fixture
def section(result):
  return draw(result)


def test_the_table_holds_medians_means_and_the_share_of_zeros(section):
  (table,) = section.tables
  first, second = table.groups[0].rows
  # Norms 1, 2, ..., 8 in two seeds; and half of them zero.
  assert first.cells[:2] == ["4.500", "4.500"]
  assert second.cells[:2] == ["1.000", "2.500"]
  assert len(table.columns) == 1 + len(first.cells)
  assert first.cells[-1] == "0.0"
  assert second.cells[-1] == "50.0"


def test_there_is_a_picture_per_target_and_one_of_the_log_probabilities(section):
  assert [picture.name for picture in section.pictures] == [
    "gradient norms of y", "gradient norms of y + 1", "gradient norms of 1/K", "log-probabilities",
  ]  # fmt: skip
  assert "Medians" in section.pictures[0].alt
  assert "square: mean" in section.pictures[0].caption


def test_the_sheet_holds_every_norm(section, result):
  (sheet,) = section.sheets
  assert len(sheet.rows) == result.arrays["gradient_norm"].size
  assert sheet.rows[0] == ["y", "standard", 0, 0, 1.0]


def test_the_axis_reaches_the_mean_beyond_the_whiskers():
  rare = np.zeros(100)
  rare[:3] = 1e5
  assert page._decades([rare, np.full(100, 0.2)]) == (-1, 4)
  assert page._decades([np.zeros(3), np.array([])]) == (-1, 0)


def test_means_stand_where_norms_do_and_networks_without_any_have_none(result, monkeypatch):
  drawn = []

  def draw_boxes(values, styles, paint, **rest):
    drawn.append((values, rest["means"]))
    return (4.0, 3.0), b"", b""

  monkeypatch.setattr(page.boxes, "draw", draw_boxes)
  norms = np.full((3, 2, 2, 8), 1e-4)
  norms[0, 0, :, 0] = np.inf
  norms[0, 1] = np.nan
  norms[1, 0] = 0
  section = draw(with_arrays(result, gradient_norm=norms))
  (values, means), (_, of_other), _ = drawn
  assert [len(of_model) for of_model in values] == [14, 0]
  np.testing.assert_allclose(means, [-4, np.nan])
  assert of_other[0] < -4  # in the strip of zeros
  np.testing.assert_allclose(of_other[1], -4)
  assert section.tables[0].groups[0].rows[1].cells[0] == "n/a"


def test_a_seed_without_numbers_leaves_no_share_of_zeros(result):
  arrays = {name: values.astype(np.float64) for name, values in result.arrays.items()}
  for name, values in arrays.items():
    # The seed 7 of the second network, after the axis of targets or without it.
    per_network = name in ("log_probabilities", "mean_square", "log_spread")
    values[(1, 1) if per_network else (..., 1, 1, slice(None))] = np.nan
  table = draw(with_arrays(result, **arrays)).tables[0]
  assert [row.cells[-1] for row in table.groups[0].rows] == ["0.0", "n/a"]


def with_log_probabilities(result, *of_models):
  shape = result.arrays["log_probabilities"].shape[1:]
  return with_arrays(
    result, log_probabilities=np.stack([np.resize(one, shape) for one in of_models])
  )


def test_networks_of_far_lower_log_probabilities_have_a_histogram_of_their_own(result):
  near, far = np.linspace(-30, 0, 48), np.linspace(-500, 0, 48)
  first, second = draw(with_log_probabilities(result, near, far)).pictures[3:]
  assert "of standard, in 50 bins from −30.0 to 0" in first.caption
  assert f"of {MODELS[1]}, in 50 bins from −500.0 to 0" in second.caption
  assert second.name == "lower log-probabilities"
  for values in (near, far):
    alike = with_log_probabilities(result, values, values / 2 - 60)
    assert len(draw(alike).pictures) == 4


def test_log_probabilities_that_are_not_finite_are_left_out(result):
  pictures = draw(with_log_probabilities(result, np.linspace(-30, 0, 48), [np.nan])).pictures
  assert "from −30.0 to 0" in pictures[-1].caption


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("value", [0.0, 1e-40, 3.0])
def test_networks_whose_gradients_are_all_alike_are_drawn(result, value):
  norms = np.full((3, 2, 2, 8), value)
  pictures = draw(with_arrays(result, gradient_norm=norms, is_zero=norms == 0)).pictures
  assert all(picture.svg.startswith(b"<?xml") for picture in pictures)
