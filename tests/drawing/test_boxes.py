import io

import numpy as np
import pytest
from PIL import Image

from robust_saliency.drawing import boxes
from robust_saliency.drawing.palette import INK, model_styles

STYLES = model_styles(["first", "second"])


def draw(values, means=None):
  """The picture's pixels, RGB."""
  _, svg, png = boxes.draw(
    values, STYLES, lambda axes: axes.set_xlim(0, 10), title="Title", axis="axis", means=means
  )
  assert svg.startswith(b"<?xml")
  return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def columns(image, colour):
  """Where, as a fraction of the width, there are pixels of this colour in the boxes' rows."""
  rgb = list(bytes.fromhex(colour[1:]))
  rows = image[len(image) // 4 : len(image) * 3 // 4, image.shape[1] // 3 :]
  return np.nonzero((np.abs(rows - rgb).sum(-1) < 12).any(0))[0] / rows.shape[1]


def test_a_box_reaches_from_whisker_to_whisker():
  image = draw([np.linspace(2, 6, 101), np.array([])])
  places = columns(image, STYLES["first"].colour)
  narrower = columns(draw([np.linspace(3, 5, 101), np.array([])]), STYLES["first"].colour)
  assert np.ptp(places) == pytest.approx(2 * np.ptp(narrower), rel=0.05)
  assert not columns(image, STYLES["second"].colour).size


def test_a_mean_is_a_square_in_ink_where_it_is_finite():
  values = [np.full(3, 1.0), np.full(3, 1.0)]
  without = draw(values)
  assert np.array_equal(draw(values, [np.nan, np.inf]), without)
  with_mean = draw(values, [9.0, np.nan])
  changed = np.nonzero((with_mean != without).any((0, 2)))[0] / with_mean.shape[1]
  assert changed.min() > 0.8
  assert columns(with_mean, INK).max() > 0.8


def test_medians_in_words_leave_out_nobody():
  assert boxes.medians([np.array([1.0, 3.0]), np.array([])], STYLES) == "first 2.000; second n/a"
