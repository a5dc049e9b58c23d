import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.models import Dropout


def drop(x, keys, rate=0.5, layer=0):
  return Dropout(rate, layer).apply({}, x, train=True, keys=keys)


def test_an_example_keeps_its_mask_whatever_its_companions_and_devices():
  keys = jax.random.split(jax.random.key(0), 16)
  x = jnp.ones((16, 40))
  whole = drop(x, keys)
  np.testing.assert_array_equal(drop(x[:3], keys[:3]), whole[:3])
  np.testing.assert_array_equal(drop(x, keys[::-1]), whole[::-1])
  split = jax.pmap(drop)(x.reshape(8, 2, 40), keys.reshape(8, 2))
  np.testing.assert_array_equal(split.reshape(16, 40), whole)


def test_raw_keys_give_what_typed_keys_give():
  keys = jax.random.split(jax.random.key(0), 4)
  x = jnp.ones((4, 9))
  np.testing.assert_array_equal(drop(x, jax.random.key_data(keys)), drop(x, keys))


def test_masks_differ_between_examples_and_layers():
  keys = jax.random.split(jax.random.key(0), 2)
  x = jnp.ones((2, 64))
  first, second = drop(x, keys), drop(x, keys, layer=1)
  assert (first[0] != first[1]).any()
  assert (first != second).any()


def test_the_share_of_zeros_and_the_mean_are_those_of_a_bernoulli_variable():
  rate, n = 0.3, 100_000
  y = drop(jnp.ones((100, n // 100)), jax.random.split(jax.random.key(0), 100), rate)
  error = np.sqrt(rate * (1 - rate) / n)
  assert abs(float((y == 0).mean()) - rate) < 4 * error
  assert abs(float(y.mean()) - 1) < 4 * error / (1 - rate)


def test_nothing_is_dropped_in_evaluation_mode_or_at_rate_zero():
  x = jnp.ones((2, 5))
  np.testing.assert_array_equal(Dropout(0.5).apply({}, x, train=False), x)
  np.testing.assert_array_equal(Dropout(0.0).apply({}, x, train=True), x)


def test_missing_keys_and_impossible_rates_are_refused():
  with pytest.raises(ValueError, match="dropout_keys must be given in training mode"):
    Dropout(0.5).apply({}, jnp.ones((2, 5)), train=True)
  with pytest.raises(ValueError, match=r"one per example \(2\), got shape \(3,\)"):
    drop(jnp.ones((2, 5)), jax.random.split(jax.random.key(0), 3))
  with pytest.raises(ValueError, match=r"rate must be < 1, got 1\.0"):
    drop(jnp.ones((2, 3)), jax.random.split(jax.random.key(0), 2), 1.0)
  with pytest.raises(ValueError, match=r"rate must be between 0 and 1, got 1\.5"):
    drop(jnp.ones((2, 5)), jax.random.split(jax.random.key(0), 2), rate=1.5)
