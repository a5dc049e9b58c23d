"""The moments of noisy maps beyond their mean: VarGrad and SmoothGrad-Squared."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import gradient, smoothgrad, smoothgrad_squared, vargrad

KEY = jax.random.key(0)
SHAPE = (5, 3, 3, 2)
X = jnp.asarray(np.random.default_rng(1).uniform(size=SHAPE), jnp.float32)
Y = jnp.array([0, 1, 2, 0, 1])
WEIGHTS = jnp.asarray(np.random.default_rng(2).normal(size=(18, 3)), jnp.float32)


def linear(x):
  return x.reshape(len(x), -1) @ WEIGHTS


def curved(x):
  return jnp.tanh(linear(x))


@pytest.fixture
def recorded():
  """(attribution, list): the maps that the attribution has given."""
  maps = []

  def record(*model):
    result = gradient(*model)
    jax.debug.callback(lambda values: maps.append(np.asarray(values, np.float64)), result)
    return result

  return record, maps


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("chunk_size", [None, 3, 11, 500])
@pytest.mark.parametrize("samples", [1, 7, 50])
def test_the_variance_on_a_linear_network_is_exactly_zero(samples, chunk_size):
  def explain(x):
    return vargrad(KEY, linear, x, Y, samples=samples, chunk_size=chunk_size, noise_level=0.3)

  assert not jax.jit(explain)(X).any()


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("method", ["vargrad", "smoothgrad_squared"])
def test_it_is_what_numpy_makes_of_the_same_maps_in_float64(method, recorded):
  record, maps = recorded
  function = {"vargrad": vargrad, "smoothgrad_squared": smoothgrad_squared}[method]
  result = function(KEY, curved, X, Y, attribution=record, samples=20, unroll=True)
  jax.effects_barrier()
  maps = np.stack(maps)
  assert maps.shape == (20, *SHAPE)
  expected = np.var(maps, axis=0) if method == "vargrad" else np.mean(maps**2, axis=0)
  np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.slow
def test_the_variance_is_right_where_the_mean_is_a_thousand_times_larger(recorded):
  record, maps = recorded

  def steep(x):
    return 1000 * linear(x) + curved(x)

  result = vargrad(KEY, steep, X, Y, attribution=record, samples=20, unroll=True)
  jax.effects_barrier()
  maps = np.stack(maps)
  # What E[A^2] - E[A]^2 makes of the same maps in float32 is no use.
  short = maps.astype(np.float32)
  naive = np.mean(short**2, axis=0) - np.mean(short, axis=0) ** 2
  expected = np.var(maps, axis=0)
  assert np.abs(naive - expected).max() > 0.2 * expected.max()
  np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3 * expected.max())


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  "chunk_size", [None, 4, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 17))]
)
def test_the_squares_are_the_variance_and_the_squared_mean_of_the_same_draws(chunk_size):
  settings = {"samples": 13, "noise_level": 0.4, "chunk_size": chunk_size}
  mean, squares, variance = (
    method(KEY, curved, X, Y, **settings) for method in (smoothgrad, smoothgrad_squared, vargrad)
  )
  np.testing.assert_allclose(squares, variance + mean**2, rtol=1e-5, atol=1e-7)
  assert (variance > 1e-4 * squares).all()


@pytest.mark.slow
@pytest.mark.parametrize("method", [smoothgrad_squared, vargrad])
def test_chunks_and_devices_change_nothing(method):
  keys, x = jax.random.split(KEY, 16), jax.random.uniform(KEY, (16, 3, 3, 2))
  y = jnp.arange(16) % 3

  def explain(keys, x, y, chunk_size=None):
    return method(keys, curved, x, y, samples=5, chunk_size=chunk_size)

  whole = explain(keys, x, y)
  np.testing.assert_allclose(explain(keys, x, y, 3), whole, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(explain(keys[7:8], x[7:8], y[7:8])[0], whole[7], rtol=1e-4, atol=1e-6)
  dealt = [a.reshape(8, 2, *a.shape[1:]) for a in (keys, x, y)]
  np.testing.assert_allclose(
    jax.pmap(explain)(*dealt).reshape(x.shape), whole, rtol=1e-4, atol=1e-6
  )


@pytest.mark.parametrize("method", [smoothgrad_squared, vargrad])
def test_they_refuse_what_smoothgrad_refuses(method):
  with pytest.raises(ValueError, match="noise_level must be >= 0, got -1"):
    method(KEY, curved, X, Y, noise_level=-1)
  with pytest.raises(ValueError, match="samples must be >= 1, got 0"):
    method(KEY, curved, X, Y, samples=0)
