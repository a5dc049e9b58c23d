from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from robust_saliency.attributions import (
  get_attribution,
  gradient,
  gradient_x_input,
  integrated_gradients,
  margin,
  smoothgrad,
)

RANDOM = np.random.default_rng(0)
KEY = jax.random.key(0)


def images(shape):
  return jnp.asarray(RANDOM.uniform(size=shape), jnp.float32)


def curvature(shape, classes=2):
  return np.asarray(RANDOM.normal(size=(classes, *shape[1:])), np.float32)


def quadratic(a):
  """Logits sum_i a_ki x_i^2, whose gradient at x is 2 a_k x."""
  return lambda x: jnp.einsum("khwc,bhwc->bk", a, x**2)


SHAPES = [(1, 4, 4, 1), (5, 3, 3, 2), (16, 2, 2, 3)]


def apply_directly(function, x, y):
  return function(KEY, x, y)


def apply_jitted(function, x, y):
  return jax.jit(function)(KEY, x, y)


def apply_vmapped(function, x, y):
  return jax.vmap(function, in_axes=(None, 0, 0))(KEY, x[None], y[None])[0]


def apply_pmapped(function, x, y):
  copies = jnp.stack([x] * 8), jnp.stack([y] * 8)
  return jax.pmap(function, in_axes=(None, 0, 0))(KEY, *copies)[3]


VARIANTS = [apply_directly, apply_jitted, apply_vmapped, apply_pmapped]


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_smoothgrad_of_a_quadratic_is_the_gradient_at_the_mean(shape, variant):
  x, y, a = images(shape), jnp.arange(shape[0]) % 2, curvature(shape)
  samples, sigma = 200, 0.3
  maps = variant(
    lambda key, x, y: smoothgrad(
      key, quadratic(a), x, y, samples=samples, noise_level=sigma, unroll=False
    ),
    x,
    y,
  )
  standard_error = 2 * np.abs(a[y]) * sigma / np.sqrt(samples)
  assert np.all(np.abs(maps - 2 * a[y] * x) < 4 * standard_error)
  # And no nearer than noise allows: the copies do differ.
  assert np.mean(np.abs(maps - 2 * a[y] * x) / standard_error) > 0.4


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("chunk_size", [1, 3, 100, None])
def test_smoothgrad_of_a_linear_network_is_its_gradient(chunk_size):
  weights = curvature((1, 3, 3, 2))

  def linear(x):
    return jnp.stack([jnp.sum(w * x, axis=(1, 2, 3)) for w in weights], axis=1)

  y = jnp.array([0, 1, 1, 0])
  maps = smoothgrad(KEY, linear, images((4, 3, 3, 2)), y, samples=49, chunk_size=chunk_size)
  # No sampling error at all, only the rounding of a sum of 49 numbers.
  np.testing.assert_allclose(maps, weights[y], rtol=5e-6)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_noise_is_normal_with_a_deviation_relative_to_the_bounds(bounds):
  x = jnp.zeros((2, 40, 40, 1))
  a = np.ones((2, 40, 40, 1), np.float32)
  maps = smoothgrad(
    KEY, quadratic(a), x, jnp.array([0, 0]), samples=1, noise_level=0.1, bounds=bounds
  )
  # The gradient of x^2 at one noisy copy of zero is twice the noise.
  noise = np.asarray(maps).ravel() / 2
  assert stats.kstest(noise, stats.norm(0, 0.1 * (bounds[1] - bounds[0])).cdf).pvalue > 1e-3
  assert abs(np.corrcoef(*noise.reshape(2, -1))[0, 1]) < 4 / np.sqrt(1600)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("chunk_size", [None, 7])
def test_the_clean_image_counts_as_one_more_copy(chunk_size):
  x, y, a = images((3, 2, 2, 1)), jnp.array([0, 1, 0]), curvature((3, 2, 2, 1))
  settings = {"samples": 4, "chunk_size": chunk_size}
  noisy = smoothgrad(KEY, quadratic(a), x, y, **settings)
  maps = smoothgrad(KEY, quadratic(a), x, y, include_clean=True, **settings)
  np.testing.assert_allclose(maps, (4 * noisy + 2 * a[y] * x) / 5, rtol=1e-5, atol=1e-6)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 1.0)])
def test_clipped_copies_are_those_of_a_normal_censored_at_the_bounds(bounds):
  # All images stand on the low bound: half of the copies would leave it. Their gradient is 2 x, and
  # the mean of max(n, 0) is sigma / sqrt(2 pi).
  low, sigma = bounds[0], 0.1 * (bounds[1] - bounds[0])
  x, a = jnp.full((1, 60, 60, 1), low), np.ones((2, 60, 60, 1), np.float32)
  settings = {"samples": 5, "noise_level": 0.1, "bounds": bounds, "clip": True}
  copies = smoothgrad(KEY, quadratic(a), x, jnp.array([0]), **settings) / 2
  expected, variance = low + sigma / np.sqrt(2 * np.pi), sigma**2 * (1 / 2 - 1 / (2 * np.pi))
  assert abs(copies.mean() - expected) < 4 * np.sqrt(variance / (5 * 3600))
  assert copies.min() >= low


def test_without_noise_it_is_the_gradient():
  x, y, a = images((3, 2, 2, 1)), jnp.array([0, 1, 0]), curvature((3, 2, 2, 1))
  maps = smoothgrad(KEY, quadratic(a), x, y, noise_level=0.0, samples=3)
  np.testing.assert_allclose(maps, gradient(KEY, quadratic(a), x, y), rtol=1e-6)


def test_it_wraps_any_attribution_of_any_score():
  # Integrated gradients of a quadratic's margin are (a_y - a_j) x^2, and the mean of (x + n)^2 is
  # x^2 + sigma^2.
  shape, sigma, samples = (4, 3, 3, 1), 0.2, 400
  x, y, a = images(shape), jnp.array([0, 1, 0, 1]), curvature(shape)
  attribution = partial(integrated_gradients, score=margin, steps=2)
  maps = smoothgrad(
    KEY, quadratic(a), x, y, attribution=attribution, samples=samples, noise_level=sigma
  )
  slope = a[y] - a[1 - y]
  variance = 4 * x**2 * sigma**2 + 2 * sigma**4
  standard_error = np.abs(slope) * np.sqrt(variance / samples)
  assert np.all(np.abs(maps - slope * (x**2 + sigma**2)) < 4 * standard_error)

  from_config = get_attribution(
    {
      "name": "smoothgrad",
      "samples": samples,
      "noise_level": sigma,
      "attribution": {"name": "integrated_gradients", "score": "margin", "steps": 2},
    }
  )
  np.testing.assert_array_equal(from_config(KEY, quadratic(a), x, y), maps)


@pytest.mark.slow
def test_smoothed_maps_can_be_smoothed_again():
  x, y, a = images((2, 2, 2, 1)), jnp.array([0, 1]), curvature((2, 2, 2, 1))
  samples = 20
  twice = partial(smoothgrad, attribution=partial(smoothgrad, samples=samples), samples=samples)
  maps = twice(KEY, quadratic(a), x, y)
  # Each copy has noise of its own and shares that of its group.
  standard_error = 2 * np.abs(a[y]) * 0.15 * np.sqrt(1 / samples + 1 / samples**2)
  assert np.all(np.abs(maps - 2 * a[y] * x) < 4 * standard_error)


def tanh_network(x):
  weights = np.random.default_rng(1).normal(size=(12, 3)).astype(np.float32)
  return jnp.tanh(x.reshape(len(x), -1) @ weights)


BATCH = images((16, 2, 2, 3)), jnp.arange(16) % 3


@pytest.mark.slow
@pytest.mark.parametrize("attribution", [gradient, gradient_x_input])
@pytest.mark.parametrize("chunk_size", [1, 3, 7, 16, 50, 1000])
def test_chunks_change_nothing(chunk_size, attribution):
  settings = {"samples": 11, "attribution": attribution}
  whole = smoothgrad(KEY, tanh_network, *BATCH, **settings)
  chunks = jax.jit(partial(smoothgrad, logits_fn=tanh_network, chunk_size=chunk_size, **settings))
  np.testing.assert_allclose(chunks(KEY, x=BATCH[0], y=BATCH[1]), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [None, 3])
def test_an_example_depends_on_its_own_key_and_not_on_its_companions_or_device(chunk_size):
  keys = jax.random.split(KEY, 16)

  def explain(keys, x, y):
    return smoothgrad(keys, tanh_network, x, y, samples=5, chunk_size=chunk_size)

  x, y = BATCH
  whole = explain(keys, x, y)
  alone = explain(keys[9:10], x[9:10], y[9:10])
  np.testing.assert_allclose(alone[0], whole[9], rtol=1e-5, atol=1e-6)
  dealt = [array.reshape(8, 2, *array.shape[1:]) for array in (keys, x, y)]
  on_eight = jax.pmap(explain)(*dealt)
  np.testing.assert_allclose(on_eight.reshape(x.shape), whole, rtol=1e-5, atol=1e-6)


def test_one_key_gives_every_example_noise_of_its_own():
  x = jnp.zeros((3, 4, 4, 1))
  a = np.ones((2, 4, 4, 1), np.float32)
  maps = smoothgrad(KEY, quadratic(a), x, jnp.zeros(3, int), samples=2)
  again = smoothgrad(KEY, quadratic(a), x, jnp.zeros(3, int), samples=2)
  other = smoothgrad(jax.random.key(1), quadratic(a), x, jnp.zeros(3, int), samples=2)
  np.testing.assert_array_equal(maps, again)
  assert len(np.unique(maps)) == maps.size
  assert not np.isin(maps, other).any()


@pytest.mark.slow
def test_the_noise_level_may_be_traced_and_shares_its_noise():
  levels = jnp.array([0.0, 0.1, 0.5])
  curve = jax.jit(
    jax.vmap(lambda level: smoothgrad(KEY, tanh_network, *BATCH, noise_level=level, samples=4))
  )(levels)
  for level, maps in zip(levels, curve, strict=True):
    expected = smoothgrad(KEY, tanh_network, *BATCH, noise_level=float(level), samples=4)
    np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
  ("change", "error", "sentence"),
  [
    ({"samples": 0}, ValueError, "samples must be >= 1, got 0"),
    ({"noise_level": -0.1}, ValueError, "noise_level must be >= 0, got -0.1"),
    ({"bounds": (1.0, 0.0)}, ValueError, "bounds must be finite with low < high"),
    ({"chunk_size": -1}, ValueError, "chunk_size must be >= 1, got -1"),
    ({"include_clean": 1}, TypeError, "include_clean must be True or False, got 1"),
    ({"clip": "no"}, TypeError, "clip must be True or False, got 'no'"),
    ({"key": 0}, TypeError, "key must be a PRNG key"),
    ({"y": jnp.zeros(3, int)}, ValueError, "one class per image"),
  ],
)
def test_bad_arguments_end_in_a_sentence(change, error, sentence):
  arguments = {"key": KEY, "logits_fn": tanh_network, "x": BATCH[0], "y": BATCH[1], **change}
  with pytest.raises(error, match=sentence):
    smoothgrad(**arguments)
