import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions.local.global_features import (
  cluster_superpixels,
  nearest_cluster,
  superpixel_descriptors,
)
from robust_saliency.attributions.local.normlime import normlime
from robust_saliency.attributions.local.superpixels import present_segments

COLOURS = np.array([[1.0, 0.1, 0.0], [0.0, 1.0, 0.2], [0.1, 0.0, 1.0]])


def stripes(batch=4, seed=0):
  """Images of four stripes, each of one of three colours, and their labels."""
  names = np.random.RandomState(seed).randint(0, 3, (batch, 4))
  names[0, :3] = [0, 1, 2]
  segments = np.broadcast_to(np.repeat(np.arange(4), 2)[:, None], (batch, 8, 8))
  x = COLOURS[np.take_along_axis(names[:, None], segments.reshape(batch, 1, -1), 2)]
  return jnp.asarray(x.reshape(batch, 8, 8, 3), jnp.float32), np.array(segments), names


def test_descriptors_are_means_over_the_superpixel_of_unit_length():
  x, segments, names = stripes()
  described = superpixel_descriptors(lambda x: x, x, segments, num_segments=5)
  expected = COLOURS[names] / np.linalg.norm(COLOURS[names], axis=-1, keepdims=True)
  np.testing.assert_allclose(described[:, :4], expected, atol=1e-6)
  np.testing.assert_array_equal(described[:, 4], 0)


def test_small_feature_maps_are_stretched_over_the_image():
  x, segments, _ = stripes()
  halves = np.array(segments) // 2
  described = superpixel_descriptors(
    lambda x: jnp.stack([jnp.ones((len(x), 1, 1)), 2 * jnp.ones((len(x), 1, 1))], -1), x, halves
  )
  np.testing.assert_allclose(described, np.tile([1, 2] / np.sqrt(5), (4, 2, 1)), atol=1e-6)


@pytest.mark.parametrize("chunk_size", [None, 1, 3])
def test_chunk_size_changes_no_descriptor(chunk_size):
  x, segments, _ = stripes()
  describe = jax.jit(
    lambda x, s: superpixel_descriptors(jnp.sin, x, s, num_segments=4, chunk_size=chunk_size)
  )
  np.testing.assert_allclose(
    describe(x, segments), superpixel_descriptors(jnp.sin, x, segments), atol=1e-6
  )


def test_clusters_find_the_colours_and_carry_normlime():
  x, segments, names = stripes()
  described = superpixel_descriptors(lambda x: x, x, segments)
  found = cluster_superpixels(described, present_segments(segments, 4), clusters=3)
  name_of = {found.features[0, j]: names[0, j] for j in range(3)}
  assert set(name_of) == {0, 1, 2}
  np.testing.assert_array_equal(np.vectorize(name_of.get)(found.features), names)
  np.testing.assert_array_equal(nearest_cluster(described, found.centers), found.features)
  # An explanation that names one colour makes its cluster the only one that matters.
  coefficients = jnp.asarray(names == 1, jnp.float32)
  scores = normlime(
    coefficients, np.zeros(4, int), classes=1, features=found.features, num_features=3
  )
  assert [name_of[c] for c in np.flatnonzero(scores[0])] == [1]


def test_superpixels_that_an_image_lacks_join_no_cluster():
  described = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 0.0]]])
  present = np.array([[True, True], [True, False]])
  found = cluster_superpixels(described, present, clusters=2)
  assert sorted(found.centers.round(3).tolist()) == [[0.0, 1.0], [1.0, 0.0]]
  assert found.features[1, 1] == 0


def test_bad_arguments_are_named():
  x, segments, _ = stripes()
  described, present = np.ones((4, 4, 3)), np.ones((4, 4), bool)
  with pytest.raises(ValueError, match=r"features_fn must map images .* to maps"):
    superpixel_descriptors(lambda x: x.sum((1, 2)), x, segments)
  with pytest.raises(ValueError, match="clusters must be at most the number of superpixels, 16"):
    cluster_superpixels(described, present, clusters=17)
  with pytest.raises(ValueError, match="descriptors and present must have shapes"):
    cluster_superpixels(described, present[:2], clusters=2)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_descriptors_of_large_segments_in_half_precision_point_the_right_way(dtype):
  x = jnp.asarray(np.random.default_rng(0).uniform(0.5, 1, (1, 224, 224, 3)), dtype)
  (found,) = superpixel_descriptors(lambda x: x, x, np.zeros((224, 224), int))[0]
  mean = np.asarray(x, np.float64).mean((0, 1, 2))
  np.testing.assert_allclose(found, mean / np.linalg.norm(mean), rtol=1e-5)
