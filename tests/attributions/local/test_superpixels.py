from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import feature_ablation, lime
from robust_saliency.attributions.local.superpixels import (
  SEGMENTATIONS,
  felzenszwalb,
  get_segments,
  grid,
  paint_segments,
  pixels,
  present_segments,
  quickshift,
  relabel,
  slic,
)

BY_SCIKIT_IMAGE = {
  "slic": partial(slic, segments=12),
  "quickshift": partial(quickshift, kernel_size=2.0, max_dist=8.0),
  "felzenszwalb": partial(felzenszwalb, scale=20.0, min_size=5),
}


def blocks(channels=3):
  """Two images of 24x24 pixels with 6x6 blocks of random colours."""
  colours = np.random.RandomState(0).uniform(size=(2, 4, 4, channels))
  return jnp.asarray(np.kron(colours, np.ones((1, 6, 6, 1))), jnp.float32)


@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (9, 13)])
@pytest.mark.parametrize("cells", [1, 3, 7])
def test_grid_cells_are_numbered_rectangles_of_nearly_equal_size(shape, cells):
  labels = grid(jnp.zeros((1, *shape, 1)), cells=cells)
  assert labels.shape == shape
  assert set(labels.ravel()) == set(range(cells**2))
  for label in range(cells**2):
    rows, columns = np.nonzero(labels == label)
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert len(rows) == height * width
    assert abs(height - shape[0] / cells) < 1
    assert abs(width - shape[1] / cells) < 1


def test_pixels_are_their_own_segments_row_by_row():
  np.testing.assert_array_equal(pixels(jnp.zeros((1, 2, 3, 1))), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", BY_SCIKIT_IMAGE)
def test_superpixels_are_labelled_from_zero_without_gaps(name, channels):
  pytest.importorskip("skimage", reason="segments are scikit-image's")
  labels = BY_SCIKIT_IMAGE[name](blocks(channels))
  assert labels.shape == (2, 24, 24)
  assert labels.dtype == np.int32
  for image in labels:
    assert set(image.ravel()) == set(range(image.max() + 1))
    assert image.max() > 0


def test_felzenszwalb_finds_blocks_of_one_colour():
  pytest.importorskip("skimage", reason="segments are scikit-image's")
  labels = felzenszwalb(blocks(), scale=1.0, sigma=0.0, min_size=2)
  true = np.kron(np.arange(16).reshape(4, 4), np.ones((6, 6), int))
  for image in labels:
    np.testing.assert_array_equal(image, true)


@pytest.mark.peers
def test_quickshift_defaults_are_those_of_the_package_lime():
  wrappers = pytest.importorskip(
    "lime.wrappers.scikit_image", reason="compares with the package lime"
  )
  image = np.random.RandomState(0).uniform(size=(32, 32, 3))
  segment = wrappers.SegmentationAlgorithm("quickshift", kernel_size=4, max_dist=200, ratio=0.2)
  expected = segment(image)
  with jax.enable_x64(True):
    np.testing.assert_array_equal(quickshift(jnp.asarray(image)[None])[0], relabel(expected))


def test_superpixels_refuse_unknown_pixels_and_odd_channels():
  pytest.importorskip("skimage", reason="segments are scikit-image's")
  with pytest.raises(TypeError, match="x must be known: superpixels are found on the host"):
    jax.jit(lambda x: jnp.asarray(slic(x)))(blocks())
  with pytest.raises(ValueError, match="x must have 1 or 3 channels"):
    slic(jnp.zeros((1, 8, 8, 2)))


@pytest.mark.parametrize("labels", [grid(jnp.zeros((1, 4, 4, 1)), cells=2)])
def test_segments_come_from_names_functions_and_labels(labels):
  x = jnp.zeros((3, 4, 4, 1))
  settings = {"name": "grid", "cells": 2}
  for given in (labels, partial(grid, cells=2), settings, jnp.asarray(labels)):
    found, count = get_segments(given, x)
    np.testing.assert_array_equal(found, labels)
    assert count == 4
  assert get_segments("pixels", x)[1] == 16
  assert get_segments(labels, x, num_segments=9)[1] == 9


@pytest.mark.parametrize(
  ("segments", "error", "message"),
  [
    ("grids", ValueError, r"segments must be one of .* \(did you mean 'grid'\?\)"),
    ({"name": "grid", "cell": 2}, ValueError, r"setting of segments 'grid' .*mean 'cells'\?\)"),
    (3, TypeError, "segments must be a name, a function or integer labels, got int"),
    (np.zeros((4, 4)), TypeError, "integer labels, got float64"),
    (np.zeros((2, 4, 4), int), ValueError, r"shape \(4, 4\) or \(3, 4, 4\), got \(2, 4, 4\)"),
    (np.full((4, 4), -1), ValueError, "segments must be labels 0 and above, got -1"),
  ],
)
def test_bad_segments_are_named(segments, error, message):
  with pytest.raises(error, match=message):
    get_segments(segments, jnp.zeros((3, 4, 4, 1)))


def test_counts_of_segments_are_checked():
  x = jnp.zeros((3, 4, 4, 1))
  with pytest.raises(ValueError, match="segments must be labels 0 to 3, got 15"):
    get_segments("pixels", x, num_segments=4)
  with pytest.raises(ValueError, match="num_segments must be given where segments are traced"):
    jax.jit(lambda labels: get_segments(labels, x)[0])(pixels(x))
  with pytest.raises(ValueError, match="cells must be at most the pixels of a side, 4, got 5"):
    grid(x, cells=5)
  with pytest.raises(ValueError, match=r"x must have shape \[batch, height, width, channels\]"):
    pixels(jnp.zeros(4))


def test_painting_gives_each_pixel_the_value_of_its_segment():
  segments = np.random.RandomState(0).randint(0, 5, (2, 3, 4))
  values = jnp.arange(10.0).reshape(2, 5)
  painted = paint_segments(values, segments)
  assert painted.shape == (2, 3, 4, 1)
  for n in range(2):
    np.testing.assert_array_equal(painted[n, ..., 0], np.asarray(values)[n][segments[n]])
  np.testing.assert_array_equal(paint_segments(values[:1], segments[0])[0], painted[0])


def test_present_segments_are_those_with_pixels():
  segments = np.array([[[0, 2]], [[1, 1]]])
  np.testing.assert_array_equal(
    present_segments(segments, 4), [[True, False, True, False], [False, True, False, False]]
  )


def test_every_segmentation_has_a_name():
  assert set(SEGMENTATIONS) == {"grid", "pixels", *BY_SCIKIT_IMAGE}


@pytest.mark.parametrize("name", BY_SCIKIT_IMAGE)
def test_an_image_has_the_same_superpixels_whatever_its_bounds(name):
  pytest.importorskip("skimage", reason="segments are scikit-image's")
  # In 256ths, which are exact in either range.
  x = jnp.round(blocks() * 256) / 256
  settings = {"name": name, **BY_SCIKIT_IMAGE[name].keywords}
  expected = BY_SCIKIT_IMAGE[name](x)
  np.testing.assert_array_equal(BY_SCIKIT_IMAGE[name](2 * x - 1, bounds=(-1, 1)), expected)
  np.testing.assert_array_equal(get_segments(settings, 2 * x - 1, bounds=(-1, 1))[0], expected)
  with pytest.raises(ValueError, match=r"x must lie within bounds \(0.0, 1.0\), got values from -"):
    BY_SCIKIT_IMAGE[name](2 * x - 1)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("method", [lime, feature_ablation])
def test_methods_pass_their_bounds_on_to_the_segmentation(method):
  pytest.importorskip("skimage", reason="segments are scikit-image's")
  x = 2 * blocks() - 1

  def network(x):
    return x.reshape(len(x), -1)[:, :2]

  settings = {"name": "slic", "segments": 4}
  few = {"samples": 2} if method is lime else {}
  y = jnp.array([0, 1])
  maps = method(jax.random.key(0), network, x, y, segments=settings, bounds=(-1, 1), **few)
  assert maps.shape == x.shape
  with pytest.raises(ValueError, match="x must lie within bounds"):
    method(jax.random.key(0), network, x, y, segments=settings, **few)
