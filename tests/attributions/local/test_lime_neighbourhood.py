import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from robust_saliency.attributions.local.lime_neighbourhood import (
  filled,
  hide,
  kernel_weights,
  mask_distance,
  random_masks,
)


@pytest.mark.slow
@pytest.mark.parametrize("features", [1, 31, 32, 33, 100])
def test_random_masks_are_fair_coins_and_the_first_hides_nothing(features):
  masks = random_masks(jax.random.key(0), jnp.arange(2001), features)
  assert masks.shape == (2001, features)
  assert masks[0].all()
  deviation = np.abs(np.mean(masks[1:], axis=0) - 0.5)
  assert deviation.max() < 5 * 0.5 / np.sqrt(2000)


def test_features_are_hidden_independently_of_each_other():
  masks = np.array(random_masks(jax.random.key(1), jnp.arange(1, 4001), 40), float)
  correlations = np.corrcoef(masks.T) - np.eye(40)
  assert np.abs(correlations).max() < 5 / np.sqrt(4000)


@pytest.mark.slow
def test_a_mask_depends_on_key_and_number_alone():
  key = jax.random.key(0)
  many = random_masks(key, jnp.arange(10), 50)
  np.testing.assert_array_equal(random_masks(key, jnp.array([7, 3]), 50), many[jnp.array([7, 3])])
  assert (random_masks(jax.random.key(1), jnp.arange(1, 10), 50) != many[1:]).any()


@pytest.mark.parametrize(("distance", "metric"), [("cosine", "cosine"), ("l2", "euclidean")])
def test_distances_and_weights_are_those_of_scikit_learn(distance, metric):
  masks = np.array(random_masks(jax.random.key(0), jnp.arange(20), 12), float)
  masks[5] = 0
  expected = pairwise_distances(masks, np.ones((1, 12)), metric=metric)[:, 0]
  distances = mask_distance(jnp.asarray(masks), distance, features=12)
  np.testing.assert_allclose(distances, expected, atol=1e-6)
  weights = np.sqrt(np.exp(-(expected**2) / 0.25**2))
  np.testing.assert_allclose(kernel_weights(distances), weights, atol=1e-6)


def test_kernel_weights_are_the_tables():
  shares = jnp.array([1, 0.9, 0.75, 0.5, 0.25, 0.1, 0])
  expected = [1, 0.979153, 0.866240, 0.503440, 0.135335, 0.023746, 0.000335]
  masks = jnp.arange(20) < 20 * shares[:, None]
  weights = kernel_weights(mask_distance(masks, features=20))
  np.testing.assert_allclose(weights, expected, atol=1e-6)


def test_fills_are_the_means_of_each_segment_and_channel():
  x = np.random.RandomState(0).uniform(size=(2, 5, 6, 3)).astype(np.float32)
  segments = np.random.RandomState(1).randint(0, 4, (2, 5, 6))
  expected = np.zeros_like(x)
  for image, labels, out in zip(x, segments, expected, strict=True):
    for label in range(4):
      out[labels == label] = image[labels == label].mean(axis=0)
  np.testing.assert_allclose(filled(jnp.asarray(x), segments, 4), expected, atol=1e-6)


def test_hidden_segments_show_the_fill_and_the_others_the_image():
  x, fill = jnp.ones((2, 2, 3)), jnp.zeros((2, 2, 3))
  segments = np.array([[0, 0], [1, 2]])
  image = hide(x, fill, jnp.array([[True, False, True]]), segments)[0]
  np.testing.assert_array_equal(image[..., 0], [[1, 1], [0, 1]])
  np.testing.assert_array_equal(image[..., 2], [[1, 1], [0, 1]])


def test_an_unknown_distance_is_named():
  with pytest.raises(ValueError, match="distance must be one of cosine, l2; got 'cosin' "):
    mask_distance(jnp.ones((1, 2)), "cosin", features=2)
