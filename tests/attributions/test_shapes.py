"""Attributions of what people have besides square images: tables, signals, odd images, nothing."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import (
  ATTRIBUTIONS,
  deconvnet,
  deeplift,
  expected_gradients,
  explain_locally,
  feature_ablation,
  grad_cam,
  gradient,
  gradient_x_input,
  guided_backprop,
  integrated_gradients,
  lime,
  lrp,
  occlusion,
  rise,
  smoothgrad,
  smoothgrad_squared,
  vargrad,
)
from robust_saliency.attributions.local.superpixels import grid, pixels
from robust_saliency.attributions.rise import random_mask

KEY = jax.random.key(0)
Y = jnp.array([0, 2])
ROWS = jnp.asarray(np.random.default_rng(1).uniform(size=(2, 6)), jnp.float32)
SIGNALS = jnp.asarray(np.random.default_rng(2).uniform(size=(2, 12, 3)), jnp.float32)


def explained(method, network, x, **settings):
  """Compiled, which is quicker than one operation at a time."""
  return jax.jit(lambda x: method(KEY, network, x, Y, **settings))(x)


def weights(x):
  return np.random.default_rng(0).normal(size=(np.prod(x.shape[1:]), 3)).astype(np.float32)


def linear(x):
  return x.reshape(x.shape[0], -1) @ weights(x)


def with_relu(x):
  """Twice as steep where x is positive, with a ReLU after weights for those that ask for one."""
  flat = x.reshape(x.shape[0], -1)
  return linear(jax.nn.relu(flat @ (2 * jnp.eye(flat.shape[1]))).reshape(x.shape))


def slopes(x):
  return weights(x).T[Y].reshape(x.shape)


# Method, whether it asks for a ReLU -> its map of a linear network of slopes w.
OF_A_LINEAR_NETWORK = [
  (gradient, False, lambda x, w: w),
  (gradient_x_input, False, lambda x, w: x * w),
  (
    functools.partial(integrated_gradients, baseline=0.5, steps=2),
    False,
    lambda x, w: (x - 0.5) * w,
  ),
  (functools.partial(smoothgrad, samples=2), False, lambda x, w: w),
  (functools.partial(smoothgrad_squared, samples=2), False, lambda x, w: w**2),
  (functools.partial(vargrad, samples=2), False, lambda x, w: 0 * w),
  (guided_backprop, True, lambda x, w: 2 * np.maximum(w, 0)),
  (deconvnet, True, lambda x, w: 2 * np.maximum(w, 0)),
  (functools.partial(lrp, epsilon=0.0), True, lambda x, w: x * 2 * w),
  (functools.partial(deeplift, baseline=0.25), True, lambda x, w: (x - 0.25) * 2 * w),
]


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("x", [ROWS, SIGNALS], ids=["rows", "signals"])
@pytest.mark.parametrize(("method", "relu", "expected"), OF_A_LINEAR_NETWORK)
def test_maps_of_a_linear_network_are_in_closed_form(method, relu, expected, x):
  maps = explained(method, with_relu if relu else linear, x)
  np.testing.assert_allclose(maps, expected(np.asarray(x), slopes(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("x", [ROWS, SIGNALS], ids=["rows", "signals"])
def test_expected_gradients_start_from_rows_and_signals(x):
  maps = explained(expected_gradients, linear, x, background=x[:1], samples=2)
  np.testing.assert_allclose(maps, (x - x[:1]) * slopes(x), rtol=1e-4, atol=1e-5)


HIDING = {
  "occlusion": functools.partial(occlusion, window=1),
  "feature_ablation": functools.partial(feature_ablation, segments="pixels"),
  "lime": functools.partial(
    lime, segments="pixels", fill=0.0, alpha=0.0, score="logit", samples=200
  ),
}


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  ("method", "x"),
  [
    ("occlusion", ROWS),
    ("occlusion", SIGNALS),
    ("feature_ablation", ROWS),
    ("feature_ablation", SIGNALS),
    ("lime", SIGNALS),
    pytest.param("lime", ROWS, marks=pytest.mark.slow),
  ],
)
def test_hiding_a_place_takes_what_it_adds_to_a_linear_network(method, x):
  maps = explained(HIDING[method], linear, x)
  added = np.asarray(x) * slopes(x)
  if x.ndim == 3:
    added = np.broadcast_to(added.sum(axis=-1, keepdims=True), x.shape)
  np.testing.assert_allclose(maps, added, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_every_column_of_a_row_is_a_feature_of_its_own_by_default():
  added = np.asarray(ROWS) * slopes(ROWS)
  for method in (occlusion, feature_ablation):
    np.testing.assert_allclose(explained(method, linear, ROWS), added, rtol=1e-4, atol=1e-5)
  # LIME's features.
  np.testing.assert_array_equal(grid(ROWS), np.arange(6))
  # RISE shows each column in half of the masks, whatever it does with the others.
  shown = explained(rise, linear, ROWS, samples=2000, score=lambda z, y: jnp.ones(len(y)))
  assert np.all(np.abs(np.asarray(shown) - 1) < 4.5 / np.sqrt(2000))
  assert len(np.unique(shown)) > 6


def curved(x):
  return jnp.tanh(x.reshape(x.shape[0], -1) @ weights(x) / 4)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  ("method", "settings"),
  [
    (occlusion, {"window": 3, "stride": 2, "baseline": SIGNALS[0]}),
    (feature_ablation, {"baseline": SIGNALS[0, 0]}),
    (rise, {"samples": 5, "baseline": SIGNALS[0]}),
    pytest.param(occlusion, {}, marks=pytest.mark.slow),
    pytest.param(feature_ablation, {"segments": np.arange(12) // 5}, marks=pytest.mark.slow),
    pytest.param(lime, {"samples": 30}, marks=pytest.mark.slow),
    (lime, {"samples": 30, "fill": SIGNALS[0], "segments": np.arange(24).reshape(2, 12) // 6}),
  ],
)
def test_a_signal_is_explained_as_the_image_of_one_column_that_it_is(method, settings):
  as_image = dict(settings)
  for name in ("baseline", "fill"):
    if name in settings and np.ndim(settings[name]) > 1:
      as_image[name] = settings[name][..., None, :]
  for name in ("window", "stride"):
    if name in settings:
      as_image[name] = (settings[name], 1)
  if "segments" in settings:
    as_image["segments"] = settings["segments"][..., None]
  maps = explained(method, curved, SIGNALS, **settings)
  expected = explained(method, curved, SIGNALS[:, :, None], **as_image)
  assert np.any(maps)
  np.testing.assert_allclose(maps, expected[:, :, 0], rtol=1e-5, atol=1e-6)


def convolved(x):
  """ReLU features [B, l, D] of signals, by a convolution over their length with stride 2."""
  kernel = np.random.default_rng(1).normal(size=(3, 3, 4)).astype(np.float32)
  return jax.nn.relu(
    jax.lax.conv_general_dilated(x, kernel, (2,), "SAME", dimension_numbers=("NHC", "HIO", "NHC"))
  )


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("channels_first", [False, True])
def test_grad_cam_of_a_signal_is_its_equation(channels_first):
  head_weights = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)

  def network(x):
    features = convolved(x)
    if channels_first:
      features = jax.nn.relu(jnp.swapaxes(features, 1, 2))
      return jnp.tanh(features).mean(2) @ head_weights
    return jnp.tanh(features).mean(1) @ head_weights

  # a_k F_k, with the slopes of tanh by hand.
  features = np.asarray(convolved(SIGNALS), np.float64)
  slope = (1 - np.tanh(features) ** 2) / 6 * head_weights.T[Y][:, None]
  maps = np.maximum((slope.mean(axis=1, keepdims=True) * features).sum(axis=-1), 0)
  expected = jax.image.resize(jnp.asarray(maps, jnp.float32), (2, 12), "linear")
  found = explained(grad_cam, network, SIGNALS)
  for channel in range(3):
    np.testing.assert_allclose(found[..., channel], expected, rtol=1e-4, atol=1e-5)
  given = explained(
    grad_cam,
    None,
    SIGNALS,
    features_fn=convolved,
    head_fn=lambda features: jnp.tanh(features).mean(1) @ head_weights,
    channel_axis=-1,
  )
  np.testing.assert_allclose(given, found, rtol=1e-5, atol=1e-6)


def test_grad_cam_needs_places():
  with pytest.raises(ValueError, match=r"x must have shape .* or \[batch, length, channels\]"):
    grad_cam(KEY, with_relu, ROWS, Y)


ODD = [(60, 1, 1), (5, 5, 1), (2, 3, 1), (1, 1, 3), (224, 224, 3)]
SIDES = (lime, rise, occlusion, feature_ablation)


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("shape", ODD, ids=str)
@pytest.mark.parametrize("method", SIDES)
def test_images_of_any_sides_have_maps_by_default(method, shape):
  x = jax.ShapeDtypeStruct((2, *shape), jnp.float32)

  def network(x):
    return x.mean((1, 2, 3))[:, None] * jnp.ones(3)

  maps = jax.eval_shape(lambda x: method(KEY, network, x, Y), x)
  assert maps.shape == (2, *shape)


@pytest.mark.parametrize(
  ("shape", "cells", "number"),
  [
    ((60, 1), None, 7),
    ((5, 5), None, 25),
    ((2, 3), None, 6),
    ((28, 28), None, 49),
    ((60, 1), (12, 1), 12),
    ((9, 13), (2, 5), 10),
  ],
)
def test_a_grid_has_cells_for_each_side(shape, cells, number):
  labels = grid(np.zeros((1, *shape, 1)), cells=cells)
  assert labels.shape == shape
  sizes = np.bincount(labels.ravel())
  assert len(sizes) == number
  # Rectangles: as many labels in the whole as in its first column times those in its first row.
  assert len(np.unique(labels[:, 0])) * len(np.unique(labels[0])) == number
  assert sizes.max() - sizes.min() <= max(shape)


def test_signals_and_rows_have_labels_in_order():
  np.testing.assert_array_equal(grid(np.zeros((1, 8, 2)), cells=4), np.arange(8) // 2)
  np.testing.assert_array_equal(grid(np.zeros((1, 8)), cells=2), np.arange(8) // 4)
  np.testing.assert_array_equal(pixels(np.zeros((1, 8, 2))), np.arange(8))


@pytest.mark.slow
def test_masks_of_one_column_are_smooth_along_the_other_side():
  keys = jax.random.split(KEY, 2000)
  masks = jax.jit(jax.vmap(lambda key: random_mask(key, (60, 1), cells=(7, 1))))(keys)
  assert np.all(np.abs(masks.mean(axis=0) - 0.5) < 4.5 / np.sqrt(4 * 2000))
  # From cell to cell of ceil(60 / 7) pixels.
  assert np.abs(np.diff(masks, axis=1)).max() < 1.01 / 9


@pytest.mark.parametrize(
  ("method", "change", "error", "sentence"),
  [
    (rise, {"cells": (3, 13)}, ValueError, "cells must be at most the pixels of a side, 1, got"),
    (rise, {"cells": 7}, ValueError, r"a pair \(rows, columns\) gives each side its own"),
    (rise, {"cells": (1, 2, 3)}, TypeError, "cells must be a pair of whole numbers or one"),
    (occlusion, {"window": 4}, ValueError, "window must fit into the images of 12 x 1, got 4"),
  ],
)
def test_sides_that_do_not_fit_are_refused(method, change, error, sentence):
  with pytest.raises(error, match=sentence):
    method(KEY, linear, SIGNALS[:, :, None], Y, **change)


def test_a_signal_has_one_side():
  with pytest.raises(TypeError, match=r"cells must be a whole number, got \(3, 1\)"):
    rise(KEY, linear, SIGNALS, Y, cells=(3, 1))


EVERY = {
  **ATTRIBUTIONS,
  "expected_gradients": expected_gradients,
  "explain_locally": explain_locally,
}


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("name", EVERY)
def test_no_images_have_no_maps(name):
  x = jnp.zeros((0, 8, 8, 2))

  def network(x):
    # A reshape of no images to (0, -1) has no answer.
    maps = jax.nn.relu(x)
    return maps.reshape(len(x), -1)[:, :3] + maps.sum((1, 2))[:, :1]

  settings = {"background": jnp.ones((1, 8, 8, 2))} if name == "expected_gradients" else {}
  result = EVERY[name](KEY, network, x, jnp.zeros(0, int), **settings)
  if name == "explain_locally":
    assert result.coefficients.shape == (0, 49)
    return
  assert result.shape == x.shape
  assert result.dtype == x.dtype


@pytest.mark.slow
def test_every_attribution_takes_numpy_images_of_any_floating_dtype(recwarn):
  x = np.random.default_rng(0).uniform(size=(2, 8, 8, 1))

  def network(x):
    return jax.nn.relu(x).sum((1, 2)) * jnp.array([1.0, 2.0, 3.0])

  for name, method in EVERY.items():
    few = {"samples": 20} if "samples" in inspect.signature(method).parameters else {}
    few |= {"background": x} if name == "expected_gradients" else {}
    jax.eval_shape(lambda method=method, few=few: method(KEY, network, x, np.array(Y), **few))
  assert not [str(one.message) for one in recwarn if "float64" in str(one.message)]
