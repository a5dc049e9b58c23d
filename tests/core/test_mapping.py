import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.core import example_keys, fold_samples, map_batches

CHUNK_SIZES = (None, 1, 2, 3, 5, 7, 100)


class CountsRows:
  """Wraps a function and notes how many rows each of its traces is given."""

  def __init__(self, function):
    self.function, self.rows = function, []

  def __call__(self, *arrays):
    self.rows.append(arrays[0].shape[0])
    return self.function(*arrays)


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("chunk_size", CHUNK_SIZES)
@pytest.mark.parametrize("batch", [1, 5, 7])
def test_map_batches_gives_the_same_for_every_chunk_size(batch, chunk_size):
  x = jax.random.normal(jax.random.key(0), (batch, 3))
  y = jnp.arange(batch)
  function = CountsRows(lambda x, y: {"square": x**2, "sum": x.sum(axis=1) + y})
  mapped = jax.jit(lambda x, y: map_batches(function, x, y, chunk_size=chunk_size))(x, y)
  np.testing.assert_allclose(mapped["square"], x**2, rtol=1e-6)
  np.testing.assert_allclose(mapped["sum"], x.sum(axis=1) + y, rtol=1e-6, atol=1e-6)
  assert max(function.rows) <= (chunk_size or batch)


def test_map_batches_takes_typed_keys_and_an_empty_batch():
  keys = jax.random.split(jax.random.key(0), 5)
  mapped = map_batches(jax.vmap(jax.random.uniform), keys, chunk_size=2)
  np.testing.assert_array_equal(mapped, jax.vmap(jax.random.uniform)(keys))
  # A function that has no answer to no rows is not asked.
  none = map_batches(
    lambda keys, x: {"flat": x.reshape(len(x), -1), "first": x[:, 0, 0].astype(int)},
    keys[:0],
    jnp.zeros((0, 2, 3)),
    chunk_size=2,
  )
  assert none["flat"].shape == (0, 6)
  assert none["first"].shape == (0,)
  assert none["first"].dtype == jnp.int32


def test_map_batches_is_differentiable():
  x = jnp.arange(5.0)
  slopes = jax.grad(lambda x: map_batches(jnp.sin, x, chunk_size=2).sum())(x)
  np.testing.assert_allclose(slopes, np.cos(np.arange(5.0)), rtol=1e-6)


def noisy(numbers, keys, x):
  """A value that depends on the row and its number alone, as SmoothGrad's does."""

  def one(key, number, x):
    return x * jax.random.normal(jax.random.fold_in(key, number), x.shape)

  return jax.vmap(one)(keys, numbers, x)


@pytest.mark.slow
@pytest.mark.parametrize("unroll", [None, False, 2])
@pytest.mark.parametrize("chunk_size", CHUNK_SIZES)
@pytest.mark.parametrize("samples", [1, 4, 11])
def test_fold_samples_gives_the_same_for_every_chunk_size(samples, chunk_size, unroll):
  batch = 5
  x = jax.random.normal(jax.random.key(1), (batch, 2))
  keys = example_keys(jax.random.key(0), batch)
  sample = CountsRows(noisy)
  total = jax.jit(
    lambda keys, x: fold_samples(
      sample, keys, x, samples=samples, chunk_size=chunk_size, unroll=unroll
    )
  )(keys, x)
  expected = sum(noisy(jnp.full(batch, i), keys, x) for i in range(samples))
  np.testing.assert_allclose(total, expected, rtol=1e-5, atol=1e-5)
  assert max(sample.rows) <= (chunk_size or batch)


def test_fold_samples_fills_a_chunk_with_several_samples_of_few_rows():
  sample = CountsRows(lambda numbers, x: numbers[:, None] * x)
  fold_samples(sample, jnp.ones((2, 3)), samples=10, chunk_size=8)
  assert max(sample.rows) == 8


def test_fold_samples_folds_in_the_order_of_the_numbers():
  def combine(state, value, number):
    return {"sum": state["sum"] * 0.5 + value, "last": value + 0.0 * number}

  x = jnp.array([[1.0], [10.0]])
  folded = [
    fold_samples(
      lambda numbers, x: numbers[:, None] * x,
      x,
      samples=5,
      initial={"sum": 1.0, "last": -1.0},
      combine=combine,
      chunk_size=chunk_size,
      unroll=False,
    )
    for chunk_size in (None, 1, 4)
  ]
  expected = 1 / 32 + sum(i * 0.5 ** (4 - i) for i in range(5)) * np.asarray(x)
  for state in folded:
    np.testing.assert_allclose(state["sum"], expected, rtol=1e-6)
    np.testing.assert_allclose(state["last"], 4 * x)


def test_fold_samples_takes_an_empty_batch():
  assert fold_samples(lambda i, x: x, jnp.zeros((0, 2)), samples=3, chunk_size=2).shape == (0, 2)


@pytest.mark.parametrize("chunk_size", [0, -1])
def test_a_chunk_of_no_rows_is_refused(chunk_size):
  with pytest.raises(ValueError, match=f"chunk_size must be >= 1, got {chunk_size}"):
    map_batches(jnp.sin, jnp.ones(3), chunk_size=chunk_size)
  with pytest.raises(ValueError, match=f"chunk_size must be >= 1, got {chunk_size}"):
    fold_samples(lambda i, x: x, jnp.ones(3), samples=2, chunk_size=chunk_size)


def test_no_samples_are_refused():
  with pytest.raises(ValueError, match="samples must be >= 1, got 0"):
    fold_samples(lambda i, x: x, jnp.ones(3), samples=0)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("chunk_size", [None, 7])
def test_fold_samples_sums_half_precision_in_float32(dtype, chunk_size):
  x = jnp.full(3, 100.0, dtype)
  total = fold_samples(lambda i, x: x, x, samples=1000, chunk_size=chunk_size, unroll=False)
  assert total.dtype == jnp.float32
  np.testing.assert_array_equal(total, np.full(3, 100_000.0))
