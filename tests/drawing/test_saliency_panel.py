import numpy as np
import pytest

from robust_saliency.drawing import saliency_panel


def test_the_scale_is_the_named_percentile_of_the_rows_sizes():
  maps = np.linspace(-1, 0, 2001).reshape(3, 23, 29)
  assert saliency_panel.scale(maps) == pytest.approx(0.995)


def test_one_extreme_pixel_does_not_hide_the_rest():
  maps = np.zeros((1, 8, 8))
  maps[0, 0, 0] = 5.0
  assert 0 < saliency_panel.scale(maps) <= 5.0
