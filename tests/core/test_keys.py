import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.core import example_keys


def data(keys):
  return np.asarray(jax.random.key_data(keys))


def test_one_key_is_folded_with_the_position_in_the_batch():
  keys = example_keys(jax.random.key(3), 5)
  expected = [jax.random.fold_in(jax.random.key(3), i) for i in range(5)]
  np.testing.assert_array_equal(data(keys), data(jnp.stack(expected)))


def test_raw_and_typed_keys_give_the_same_randomness():
  np.testing.assert_array_equal(
    data(example_keys(jax.random.PRNGKey(3), 4)), data(example_keys(jax.random.key(3), 4))
  )
  many = jax.random.split(jax.random.key(0), 4)
  np.testing.assert_array_equal(data(example_keys(data(many), 4)), data(many))


def test_one_key_per_example_is_passed_through():
  many = jax.random.split(jax.random.key(0), 4)
  np.testing.assert_array_equal(data(example_keys(many, 4)), data(many))


def test_an_examples_key_does_not_depend_on_the_batch_size():
  np.testing.assert_array_equal(
    data(example_keys(jax.random.key(0), 3)), data(example_keys(jax.random.key(0), 128))[:3]
  )


def test_two_raw_keys_for_two_examples_are_not_taken_for_one_key():
  two = jnp.stack([jax.random.PRNGKey(0), jax.random.PRNGKey(1)])
  np.testing.assert_array_equal(data(example_keys(two, 2)), np.asarray(two))


def test_keys_work_under_jit_and_vmap():
  keys = jax.random.split(jax.random.key(0), 3)
  mapped = jax.jit(jax.vmap(lambda key: example_keys(key, 2)))(keys)
  np.testing.assert_array_equal(data(mapped[1]), data(example_keys(keys[1], 2)))


@pytest.mark.parametrize(
  ("key", "error", "sentence"),
  [
    (0, TypeError, r"key must be a PRNG key from jax\.random\.key\(seed\), got 0"),
    (None, TypeError, "key must be a PRNG key .*, got None"),
    (jnp.zeros(2), TypeError, r"key must be a PRNG key .*, got float32 of shape \(2,\)"),
    (jnp.zeros(3, jnp.uint32), TypeError, r"key must be a PRNG key .*, got uint32 of shape \(3,\)"),
  ],
)
def test_what_is_no_key_is_refused(key, error, sentence):
  with pytest.raises(error, match=sentence):
    example_keys(key, 2)


def test_keys_for_another_number_of_examples_are_refused():
  with pytest.raises(ValueError, match=r"key must be one key or one per example \(2\), got .*3"):
    example_keys(jax.random.split(jax.random.key(0), 3), 2)
