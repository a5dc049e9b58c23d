"""Figures for one's own code: what they draw is read from the figures' own parts."""

import io

import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from robust_saliency.drawing import show_adversarial, show_maps, show_robustness, show_transfer
from robust_saliency.results.score_intervals import wilson

IMAGES = np.random.default_rng(0).random((2, 6, 8, 3))
MAPS = np.linspace(-2, 1, 2 * 6 * 8).reshape(2, 6, 8)


def drawn(figure, column, row, columns=2):
  """What stands in a tile, of the last layer."""
  return figure.axes[row * columns + column].images[-1].get_array()


def test_a_heat_map_shows_the_map_summed_over_channels_on_a_scale_around_zero():
  figure = show_maps(IMAGES, np.repeat(MAPS[..., None] / 3, 3, axis=-1), colour_bar=False)
  np.testing.assert_allclose(drawn(figure, 1, 1), MAPS[1])
  limits = figure.axes[2].images[0].norm
  assert (limits.vmin, limits.vmax) == (-limits.vmax, pytest.approx(np.percentile(abs(MAPS), 99.5)))
  np.testing.assert_allclose(drawn(figure, 0, 0), IMAGES[0])


@pytest.mark.parametrize(
  ("sign", "shown"),
  [
    ("absolute", np.abs(MAPS)),
    ("positive", np.maximum(MAPS, 0)),
    ("negative", np.maximum(-MAPS, 0)),
  ],
)
def test_one_sign_is_shown_from_zero_on(sign, shown):
  figure = show_maps(IMAGES, MAPS, sign=sign, colour_bar=False)
  np.testing.assert_allclose(drawn(figure, 0, 1), shown[0])
  assert figure.axes[2].images[0].norm.vmin == 0


@pytest.mark.parametrize(("over", "sizes"), [("row", 2), ("image", 4), ("figure", 1)])
def test_maps_share_a_scale_over_a_row_an_image_or_the_figure(over, sizes):
  rows = {"gradient": MAPS * [[[1]], [[5]]], "smoothgrad": MAPS * [[[10]], [[20]]]}
  figure = show_maps(IMAGES, rows, scale_over=over, colour_bar=False)
  assert len({axes.images[0].norm.vmax for axes in figure.axes[2:]}) == sizes


def test_an_overlay_lies_on_the_grey_image_and_is_transparent_where_the_map_is_zero():
  maps = np.zeros((1, 6, 8))
  maps[0, 2, 3] = -1.0
  figure = show_maps(IMAGES[:1], maps, how="overlay", percentile=100, colour_bar=False)
  grey, coloured = figure.axes[1].images
  np.testing.assert_allclose(grey.get_array()[..., 0], IMAGES[0].mean(axis=-1))
  alpha = coloured.get_array()[..., 3]
  assert alpha[2, 3] == pytest.approx(0.8)
  assert np.count_nonzero(alpha) == 1


def test_a_masked_image_is_the_image_times_the_map_s_size():
  maps = np.zeros((1, 6, 8))
  maps[0, 2, 3], maps[0, 4, 4] = -1.0, 0.5
  figure = show_maps(IMAGES[:1], maps, how="masked image", percentile=100)
  shown = drawn(figure, 0, 1, columns=1)
  np.testing.assert_allclose(shown[2, 3], IMAGES[0, 2, 3])
  np.testing.assert_allclose(shown[4, 4], 0.5 * IMAGES[0, 4, 4])
  assert np.count_nonzero(shown.any(axis=-1)) == 2


def test_a_wrong_prediction_has_a_cross_and_names_are_the_classes_own():
  rows = {"plain": MAPS, "pgd": MAPS}
  figure = show_maps(
    IMAGES,
    rows,
    labels=jnp.array([0, 1]),
    predictions={"plain": [0, 0], "pgd": [0, 1]},
    classes=["cat", "dog"],
    colour_bar=False,
  )
  below = [axes.get_xlabel() for axes in figure.axes]
  assert below == ["cat", "dog", "cat", "✗ cat", "cat", "dog"]


def test_an_adversarial_row_shows_the_perturbation_in_the_pixels_own_units():
  adversarial = np.clip(IMAGES + 0.05, 0, 1)
  scaled = [255 * array for array in (IMAGES, adversarial)]
  figure = show_adversarial(*scaled, bounds=(0, 255), labels=[1, 2], predictions=[1, 0])
  moved = figure.axes[1].images[0].get_array()
  np.testing.assert_allclose(moved, 255 * (adversarial - IMAGES)[0].sum(axis=-1), atol=1e-9)
  assert [figure.axes[i].get_xlabel() for i in (0, 2, 3, 5)] == ["1", "1", "2", "✗ 0"]


def test_a_robustness_curve_is_the_share_of_images_with_wilson_s_band():
  counts = np.array([20, 5, 0])
  correct = np.arange(20) < counts[:, None]
  figure = show_robustness([0.0, 0.1, 0.2], {"standard": correct, "pgd": counts / 20})
  axes = figure.axes[0]
  for line in axes.lines:
    np.testing.assert_allclose(line.get_ydata(), counts / 20)
  band = axes.collections[0].get_paths()[0].vertices[:, 1]
  low, high = wilson(counts.astype(float), 20, 1.959964)
  assert (band.min(), band.max()) == (pytest.approx(low.min()), pytest.approx(high.max()))


def test_a_transfer_matrix_prints_each_cell():
  figure = show_transfer([[0.1, 0.8], [0.9, 0.25]], ["a", "b"])
  assert [text.get_text() for text in figure.axes[0].texts] == ["10.0", "80.0", "90.0", "25.0"]


def test_figures_can_be_saved_in_any_format_and_leave_the_user_s_settings_alone():
  before = dict(mpl.rcParams)
  figure = show_maps(IMAGES, {"a $x$ & <b>": MAPS})
  png, pdf = io.BytesIO(), io.BytesIO()
  figure.savefig(png, format="png")
  figure.savefig(pdf, format="pdf")
  assert Image.open(png).size[0] > 200
  assert pdf.getvalue().startswith(b"%PDF")
  assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
  ("call", "sentence"),
  [
    (lambda: show_maps(IMAGES, MAPS[:1]), r"maps must have shape \(2, 6, 8\), with or without"),
    (lambda: show_maps(IMAGES, {"lime": MAPS[0]}), "maps 'lime' must have shape"),
    (lambda: show_maps(IMAGES, {}), "maps must have at least one row"),
    (lambda: show_maps(IMAGES[0], MAPS), r"images must have shape \[batch, height, width"),
    (lambda: show_maps(IMAGES * 255, MAPS), r"images must lie within bounds \(0.0, 1.0\)"),
    (lambda: show_maps(IMAGES, MAPS, how="overlaid"), "how must be one of .*; got 'overlaid'"),
    (lambda: show_maps(IMAGES, MAPS, sign="plus"), "sign must be one of"),
    (lambda: show_maps(IMAGES, MAPS, scale_over="all"), "scale_over must be one of"),
    (lambda: show_maps(IMAGES, MAPS, percentile=101), "percentile must be at most 100"),
    (lambda: show_maps(IMAGES, {"lime": MAPS}, predictions={"lim": [0, 0]}), "did you mean 'lime'"),
    (lambda: show_maps(IMAGES, MAPS, labels=[1]), r"labels must have shape \(2,\), got \(1,\)"),
    (lambda: show_maps(IMAGES, MAPS, predictions=[1, 2, 3]), r"predictions must have shape \(2,\)"),
    (lambda: show_adversarial(IMAGES, IMAGES, labels=[1]), r"labels must have shape \(2,\)"),
    (lambda: show_adversarial(IMAGES, IMAGES[:1]), "adversarial must have the images' shape"),
    (lambda: show_robustness([0.1], {"a": [1, 0]}), r"correct of 'a' must have shape \(1,\)"),
    (lambda: show_robustness([0.1], {}), "correct must have at least one network"),
    (lambda: show_transfer([[0.1]], ["a", "b"]), r"accuracy must have shape \(2, 2\)"),
  ],
)
def test_arrays_that_do_not_belong_together_are_refused_by_name(call, sentence):
  with pytest.raises(ValueError, match=sentence):
    call()


def test_a_transfer_matrix_of_many_networks_has_numbers_for_names():
  names = [f"network {i}" for i in range(40)]
  figure = show_transfer(np.full((40, 40), 0.5), names)
  assert [label.get_text() for label in figure.axes[0].get_xticklabels()][:2] == ["1", "2"]
