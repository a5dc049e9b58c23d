import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import zoom

from robust_saliency.attributions import rise
from robust_saliency.attributions.rise import random_mask

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(1).uniform(size=(3, 8, 6, 2)), jnp.float32)
Y = jnp.array([0, 2, 1])
WEIGHTS = jnp.asarray(np.random.default_rng(2).normal(size=(96, 3)), jnp.float32)


def network(x):
  return x.reshape(len(x), -1) @ WEIGHTS / 4


def test_a_mask_is_the_authors_grid_enlarged_and_shifted():
  # Every mask must be a crop of the enlargement of some 2 x 2 grid, at one of the shifts.
  sides, cells, cell = (8, 6), 2, (4, 3)
  possible = [
    zoom(grid, (6, 4.5), order=1, mode="nearest", grid_mode=True)[
      down : down + 8, right : right + 6
    ]
    for grid in np.array(np.meshgrid(*[[0.0, 1.0]] * 4)).reshape(4, -1).T.reshape(-1, 2, 2)
    for down in range(cell[0])
    for right in range(cell[1])
  ]
  masks = jax.vmap(lambda key: random_mask(key, sides, cells=cells))(jax.random.split(KEY, 50))
  for mask in np.asarray(masks):
    assert min(np.abs(mask - one).max() for one in possible) < 1e-5
  assert len(np.unique(masks.round(4), axis=0)) > 20


@pytest.mark.slow
def test_columns_of_a_row_are_shown_and_hidden_each_by_itself():
  masks = jax.vmap(lambda key: random_mask(key, (1, 9), cells=(1, 9)))(jax.random.split(KEY, 2000))
  columns = np.asarray(masks).reshape(-1, 9)
  assert set(np.unique(columns)) == {0.0, 1.0}
  correlations = np.corrcoef(columns, rowvar=False) - np.eye(9)
  assert np.abs(correlations).max() < 0.1  # 4.5 standard deviations


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("keep", [0.2, 0.5])
def test_every_pixel_is_shown_as_often(keep):
  keys = jax.random.split(KEY, 4000)
  masks = jax.vmap(lambda key: random_mask(key, (9, 7), cells=3, keep=keep))(keys)
  assert masks.min() >= 0
  assert masks.max() <= 1
  assert np.all(np.abs(masks.mean(axis=0) - keep) < 4.5 * np.sqrt(keep * (1 - keep) / 4000))


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("baseline", [0.0, 0.4])
def test_maps_are_masks_weighted_by_the_probability_of_what_they_show(baseline):
  keys = jax.random.split(KEY, 3)
  maps = rise(keys, network, X, Y, samples=20, cells=3, keep=0.3, baseline=baseline)
  for n in range(3):
    total = np.zeros((8, 6))
    for number in range(20):
      key = jax.random.fold_in(keys[n], number)
      mask = np.asarray(random_mask(key, (8, 6), cells=3, keep=0.3))
      shown = mask[..., None] * np.asarray(X[n]) + (1 - mask[..., None]) * baseline
      logits = np.asarray(network(shown[None]), np.float64)[0]
      total += np.exp(logits[Y[n]]) / np.exp(logits).sum() * mask
    for channel in range(2):
      np.testing.assert_allclose(maps[n, ..., channel], total / (20 * 0.3), rtol=1e-4)


@pytest.mark.slow
def test_a_network_that_sees_one_corner_is_explained_by_that_corner():
  def corner(x):
    evidence = 8 * x[:, :2, :2].mean(axis=(1, 2, 3))
    return jnp.stack([evidence, jnp.full(len(x), 4.0)], axis=1)

  maps = rise(KEY, corner, jnp.ones((1, 8, 8, 1)), jnp.array([0]), samples=500, cells=4)[0, ..., 0]
  assert maps[:2, :2].min() > 1.25 * maps[4:, 4:].max()


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [1, 2, 10])
def test_chunks_change_nothing(chunk_size):
  settings = {"samples": 11, "cells": 3}
  whole = rise(KEY, network, X, Y, **settings)
  chunks = jax.jit(lambda x: rise(KEY, network, x, Y, chunk_size=chunk_size, **settings))(X)
  np.testing.assert_allclose(chunks, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_an_example_keeps_its_masks_among_others_and_on_other_devices():
  keys = jax.random.split(KEY, 16)
  x = jnp.broadcast_to(X[0], (16, *X.shape[1:]))

  def explain(keys, x):
    return rise(keys, network, x, jnp.zeros(len(x), int), samples=5, cells=3)

  whole = explain(keys, x)
  assert len(np.unique(np.asarray(whole)[:, 0, 0, 0])) == 16
  np.testing.assert_allclose(explain(keys[9:10], x[9:10])[0], whole[9], rtol=1e-5)
  dealt = keys.reshape(8, 2), x.reshape(8, 2, *x.shape[1:])
  np.testing.assert_allclose(jax.pmap(explain)(*dealt).reshape(x.shape), whole, rtol=1e-5)


@pytest.mark.parametrize(
  ("change", "error", "sentence"),
  [
    ({"samples": 0}, ValueError, "samples must be >= 1, got 0"),
    ({"cells": 7}, ValueError, "cells must be at most the pixels of a side, 6, got 7"),
    ({"keep": 0.0}, ValueError, "keep must be > 0, got 0.0"),
    ({"keep": 1.5}, ValueError, "keep must be between 0 and 1, got 1.5"),
    ({"baseline": np.zeros(3)}, ValueError, "baseline must broadcast"),
  ],
)
def test_bad_arguments_end_in_a_sentence(change, error, sentence):
  with pytest.raises(error, match=sentence):
    rise(KEY, network, X, Y, **{"cells": 3, **change})
