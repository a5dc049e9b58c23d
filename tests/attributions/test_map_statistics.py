import hypothesis
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies
from hypothesis.extra import numpy as arrays_of

from robust_saliency.attributions import alignment, gini, total_variation

RANDOM = np.random.default_rng(0)
SHAPES = [(5, 4, 3, 1), (2, 7, 7, 3), (3, 1, 6, 2)]

# One shape, so that each function is compiled once.
maps_of_any_size = arrays_of.arrays(
  np.float32, (2, 4, 3, 2), elements=strategies.floats(-1, 1, width=32, allow_subnormal=False)
)
scales = strategies.floats(1e-15, 1e15)


def all_zero(maps):
  return (np.abs(maps).max(axis=(1, 2, 3)) < 1e-15).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_total_variation_is_the_sum_over_all_pairs_of_neighbours(shape):
  maps = RANDOM.normal(size=shape)
  expected = []
  for one in maps:
    height, width, channels = one.shape
    differences = [
      abs(one[i, j, c] - one[k, m, c])
      for c in range(channels)
      for i in range(height)
      for j in range(width)
      for k, m in ((i + 1, j), (i, j + 1))
      if k < height and m < width
    ]
    expected.append(sum(differences) / np.abs(one).sum())
  np.testing.assert_allclose(total_variation(jnp.float32(maps)), expected, rtol=1e-5)


def test_a_constant_map_is_smooth_a_single_pixel_as_rough_as_can_be_and_noise_between():
  one_hot = np.zeros((1, 5, 5, 1), np.float32)
  one_hot[0, 2, 2] = -7
  assert total_variation(jnp.ones((1, 5, 5, 1))).tolist() == [0]
  assert total_variation(jnp.asarray(one_hot)).tolist() == [4]
  # E|g - h| / E|g| = sqrt 2 for independent normal numbers, which have two neighbours each.
  noise = RANDOM.normal(size=(1, 400, 400, 1))
  np.testing.assert_allclose(total_variation(jnp.float32(noise)), 2 * np.sqrt(2), rtol=0.01)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_gini_index_is_half_the_mean_difference_of_all_pairs_over_the_mean(shape):
  maps = RANDOM.standard_cauchy(size=shape)
  sizes = np.abs(maps).reshape(len(maps), -1)
  differences = np.abs(sizes[:, :, None] - sizes[:, None]).mean(axis=(1, 2))
  np.testing.assert_allclose(
    gini(jnp.float32(maps)), differences / (2 * sizes.mean(axis=1)), rtol=1e-5
  )


@pytest.mark.parametrize("pixels", [1, 2, 784, 3072])
def test_the_gini_index_of_one_pixel_alone_and_of_equal_ones(pixels):
  one_hot = np.zeros((1, pixels, 1, 1), np.float32)
  one_hot[0, pixels // 2] = -0.3
  np.testing.assert_allclose(gini(jnp.asarray(one_hot)), 1 - 1 / pixels, rtol=1e-6)
  signs = RANDOM.choice([-0.3, 0.3], (1, pixels, 1, 1))
  np.testing.assert_allclose(gini(jnp.float32(signs)), 0, atol=1e-6)


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(maps_of_any_size, scales, strategies.booleans())
def test_no_number_depends_on_the_scale_and_each_stays_in_its_range(maps, scale, turned):
  hypothesis.assume(not all_zero(maps))
  image = jnp.asarray(RANDOM.uniform(size=maps.shape), jnp.float32)
  scaled = jnp.asarray(maps * np.float32(-scale if turned else scale))
  for function, highest in (
    (total_variation, 4),
    (gini, 1),
    (lambda maps: alignment(maps, image), 1),
  ):
    value = function(jnp.asarray(maps))
    np.testing.assert_allclose(function(scaled), value, rtol=1e-3, atol=1e-4)
    assert ((value >= -1e-6) & (value <= highest * (1 + 1e-6))).all()


@pytest.mark.parametrize("factor", [-100.0, 1e-6, 1.0])
def test_alignment_is_1_for_a_multiple_of_the_centred_image_and_0_for_what_is_orthogonal(factor):
  x = RANDOM.uniform(size=(3, 4, 4, 1))
  centred = x - x.mean(axis=(1, 2, 3), keepdims=True)
  np.testing.assert_allclose(alignment(jnp.float32(factor * centred), jnp.float32(x)), 1, rtol=1e-5)
  # A flat map has nothing in common with a centred image.
  np.testing.assert_allclose(
    alignment(jnp.full(x.shape, factor, jnp.float32), jnp.float32(x)), 0, atol=1e-5
  )


def test_alignment_is_the_size_of_the_correlation_where_the_map_is_centred_too():
  x, maps = RANDOM.uniform(size=(2, 4, 5, 5, 3))
  maps -= maps.mean(axis=(1, 2, 3), keepdims=True)
  expected = [abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in zip(x, maps, strict=True)]
  np.testing.assert_allclose(alignment(jnp.float32(maps), jnp.float32(x)), expected, rtol=1e-3)


def test_alignment_is_the_same_for_other_pixel_bounds():
  x, maps = RANDOM.uniform(size=(2, 4, 5, 5, 1))
  np.testing.assert_allclose(
    alignment(jnp.float32(maps), jnp.float32(3 * x - 0.5)),
    alignment(jnp.float32(maps), jnp.float32(x)),
    rtol=1e-4,
  )


def test_a_map_of_zeros_has_no_number_and_leaves_the_others_theirs():
  maps = RANDOM.normal(size=(3, 4, 4, 1)).astype(np.float32)
  maps[1] = 0
  x = jnp.asarray(RANDOM.uniform(size=maps.shape), jnp.float32)
  for values in (total_variation(maps), gini(maps), alignment(jnp.asarray(maps), x)):
    assert np.isnan(values).tolist() == [False, True, False]


def test_nothing_is_aligned_with_an_image_of_one_grey():
  maps = jnp.asarray(RANDOM.normal(size=(1, 7, 7, 1)), jnp.float32)
  assert np.isnan(alignment(maps, jnp.full(maps.shape, 0.1))).all()


def test_maps_need_their_four_axes_and_the_image_s_shape():
  for function in (total_variation, gini):
    with pytest.raises(ValueError, match=r"maps must have the axes \[B, H, W, C\]"):
      function(jnp.ones((4, 4)))
  with pytest.raises(ValueError, match="maps must have the images' shape"):
    alignment(jnp.ones((1, 4, 4, 1)), jnp.ones((1, 4, 4, 3)))


@pytest.mark.parametrize("maps", [None, "maps", True, [0.5]])
def test_what_are_no_maps_is_refused(maps):
  images = jnp.ones((1, 2, 2, 1))
  for number in (gini, total_variation, lambda maps: alignment(maps, images)):
    with pytest.raises(TypeError, match="maps must be an array of numbers, got"):
      number(maps)
  with pytest.raises(TypeError, match="x must be an array of numbers, got"):
    alignment(images, maps)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_sums_of_half_precision_maps_are_not(dtype):
  maps = jnp.asarray(RANDOM.uniform(size=(1, 224, 224, 3)), dtype)
  x = jnp.asarray(RANDOM.uniform(size=maps.shape) + maps, dtype)
  for of_one, arguments in ((gini, (maps,)), (total_variation, (maps,)), (alignment, (maps, x))):
    wide = of_one(*(one.astype(jnp.float32) for one in arguments))
    np.testing.assert_allclose(of_one(*arguments), wide, rtol=1e-5)
