import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import absolute, channel_sum, clip_percentile, scale

RANDOM = np.random.default_rng(0)
SIGNED = RANDOM.normal(size=(5, 6, 7, 3)).astype(np.float32)
POSITIVE = np.abs(SIGNED)


def test_absolute_drops_the_sign():
  np.testing.assert_array_equal(absolute(jnp.asarray(SIGNED)), np.abs(SIGNED))


def test_channel_sum_keeps_the_axis():
  np.testing.assert_allclose(
    channel_sum(jnp.asarray(SIGNED)), SIGNED.sum(axis=3, keepdims=True), rtol=1e-6
  )


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("percentile", [50.0, 90.0, 99.0, 100.0])
@pytest.mark.parametrize("maps", [SIGNED, POSITIVE], ids=["signed", "positive"])
def test_clipping_is_numpy_s_map_by_map(maps, percentile):
  expected = []
  for one in maps:
    low = np.percentile(one, 100 - percentile) if one.min() < 0 else 0.0
    expected.append(np.clip(one, low, np.percentile(one, percentile)))
  clipped = clip_percentile(jnp.asarray(maps), percentile)
  np.testing.assert_allclose(clipped, np.stack(expected), rtol=1e-5, atol=1e-6)


def test_the_percentile_may_be_traced():
  percentiles = jnp.array([60.0, 99.0])
  curve = jax.jit(jax.vmap(clip_percentile, in_axes=(None, 0)))(jnp.asarray(SIGNED), percentiles)
  for percentile, clipped in zip(percentiles, curve, strict=True):
    np.testing.assert_allclose(clipped, clip_percentile(SIGNED, float(percentile)), rtol=1e-5)


@pytest.mark.parametrize("percentile", [-1.0, 101.0, float("nan")])
def test_a_percentile_is_between_0_and_100(percentile):
  with pytest.raises(ValueError, match="percentile must be between 0 and 100, got"):
    clip_percentile(jnp.asarray(SIGNED), percentile)


@pytest.mark.parametrize("percentile", [None, "99", True, [95.0, 99.0], {"by": 1}])
def test_a_percentile_is_one_number(percentile):
  with pytest.raises((ValueError, TypeError), match="percentile must be"):
    clip_percentile(jnp.asarray(SIGNED), percentile)


def test_scaling_divides_each_map_by_its_largest_magnitude():
  largest = np.abs(SIGNED).max(axis=(1, 2, 3), keepdims=True)
  np.testing.assert_allclose(scale(jnp.asarray(SIGNED)), SIGNED / largest, rtol=1e-6)


def test_a_map_of_zeros_stays_one_and_has_a_gradient():
  maps = jnp.asarray(SIGNED).at[1].set(0)
  assert not scale(maps)[1].any()
  assert not clip_percentile(maps)[1].any()
  assert np.isfinite(jax.grad(lambda maps: scale(maps).sum())(maps)).all()


def test_tiny_maps_are_scaled_as_well():
  maps = jnp.asarray([[-4e-38, 2e-38]]).reshape(1, 1, 2, 1)
  np.testing.assert_allclose(scale(maps).ravel(), [-1.0, 0.5], rtol=1e-6)


@pytest.mark.parametrize(
  "step", [absolute, channel_sum, clip_percentile, scale], ids=lambda step: step.__name__
)
def test_each_map_is_treated_on_its_own(step):
  np.testing.assert_allclose(
    step(jnp.asarray(SIGNED))[2:3], step(jnp.asarray(SIGNED[2:3])), rtol=1e-6
  )


def test_a_paper_s_recipe_is_a_composition():
  # Absolute value, channel sum, 99th percentile, [0, 1].
  ours = scale(clip_percentile(channel_sum(absolute(jnp.asarray(SIGNED))), 99.0))
  grey = np.abs(SIGNED).sum(axis=3, keepdims=True)
  for one, result in zip(grey, ours, strict=True):
    high = np.percentile(one, 99)
    np.testing.assert_allclose(result, np.minimum(one, high) / high, rtol=1e-5)


@pytest.mark.parametrize(
  "step", [absolute, channel_sum, clip_percentile, scale], ids=lambda step: step.__name__
)
@pytest.mark.parametrize("maps", [None, "maps", True, [0.5], np.array(["a"])])
def test_what_are_no_maps_is_refused(step, maps):
  with pytest.raises(TypeError, match="maps must be an array of numbers, got"):
    step(maps)
