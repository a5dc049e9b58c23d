from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import attacks, attributions
from robust_saliency.core import example_keys

WEIGHTS = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)


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


GENERATORS = ("threefry2x32", "rbg", "unsafe_rbg")


@pytest.fixture(params=GENERATORS)
def generator(request):
  with jax.default_prng_impl(request.param):
    yield request.param


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey], ids=["typed", "raw"])
def test_keys_of_every_generator_become_threefry_keys(generator, make):
  for key in (make(3), jax.random.split(make(3), 4)):
    keys = example_keys(key, 4)
    assert str(jax.random.key_impl(keys)) == "threefry2x32"
    assert len({tuple(words) for words in data(keys).tolist()}) == 4


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey], ids=["typed", "raw"])
def test_an_rbg_key_of_a_seed_gives_what_threefry_gives_of_that_seed(make):
  expected = data(example_keys(jax.random.key(3, impl="threefry2x32"), 4))
  with jax.default_prng_impl("rbg"):
    folded = jnp.stack([jax.random.fold_in(make(3), i) for i in range(4)])
    np.testing.assert_array_equal(data(example_keys(make(3), 4)), expected)
    np.testing.assert_array_equal(data(example_keys(folded, 4)), expected)


def test_every_word_of_a_key_counts(generator):
  width = jax.random.key_data(jax.random.key(0)).size
  words = np.vstack([np.zeros(width), np.eye(width)]).astype(np.uint32)
  keys = data(example_keys(jnp.asarray(words), width + 1))
  assert len({tuple(one) for one in keys.tolist()}) == width + 1
  alone = [data(example_keys(jnp.asarray(words[i : i + 1]), 1))[0] for i in range(width + 1)]
  np.testing.assert_array_equal(keys, alone)


def test_a_raw_key_of_another_generator_s_width_is_refused(generator):
  width = {"threefry2x32": 4}.get(generator, 2)
  with pytest.raises(TypeError, match=rf"key must be a PRNG key .* shape \({width},\)"):
    example_keys(jnp.zeros(width, jnp.uint32), 2)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("raw", [False, True], ids=["typed", "raw"])
def test_an_example_s_draws_are_the_same_alone_and_in_a_batch(generator, raw):
  keys = jnp.stack([jax.random.fold_in(jax.random.key(1), i) for i in (7, 0, 3)])
  keys = jax.random.key_data(keys) if raw else keys

  def draws(keys):
    return jax.vmap(jax.random.uniform)(example_keys(keys, len(keys)))

  together = draws(keys)
  assert len(set(together.tolist())) == 3
  np.testing.assert_array_equal(together, [draws(keys[i : i + 1])[0] for i in range(3)])


METHODS = {
  "pgd": partial(attacks.pgd, epsilon=0.1, steps=2, step_size=0.001, keep="last"),
  "smoothgrad": partial(attributions.smoothgrad, samples=3),
}


@pytest.mark.slow
@pytest.mark.parametrize("raw", [False, True], ids=["typed", "raw"])
@pytest.mark.parametrize("name", METHODS)
def test_an_image_s_result_is_the_same_alone_and_in_a_batch(generator, name, raw):
  method = jax.jit(
    lambda keys, x, y: METHODS[name](keys, lambda x: (x.reshape(len(x), -1) @ WEIGHTS) ** 2, x, y)
  )
  # Those of a driver, made of one key by one.
  keys = jnp.stack([jax.random.fold_in(jax.random.key(1), i) for i in (7, 0, 3)])
  keys = jax.random.key_data(keys) if raw else keys
  random = np.random.default_rng(0)
  x, y = jnp.asarray(random.uniform(0.2, 0.8, (3, 2, 2, 1)), jnp.float32), jnp.array([0, 1, 2])
  together = method(keys, x, y)
  alone = [method(keys[i : i + 1], x[i : i + 1], y[i : i + 1]) for i in range(3)]
  np.testing.assert_allclose(together, jnp.concatenate(alone), rtol=1e-5, atol=1e-6)
  assert not np.allclose(together, method(keys[::-1], x, y), atol=1e-5)  # the keys matter
