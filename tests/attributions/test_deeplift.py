import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.attributions import deeplift, gradient_x_input, integrated_gradients

KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def _double_precision():
  with jax.enable_x64(True):
    yield


def with_pooling(pool):
  kernel = jax.random.normal(jax.random.key(1), (3, 3, 2, 4), jnp.float64)
  head = jax.random.normal(jax.random.key(2), (4, 5), jnp.float64)

  def logits_fn(x):
    maps = jax.lax.conv_general_dilated(
      x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return jax.nn.relu(pool(maps)).sum((1, 2)) @ head

  return logits_fn


POOLS = {
  "none": lambda a: a,
  "models.first_max_pool": models.first_max_pool,
  "nn.max_pool": lambda a: nn.max_pool(a, (3, 3), (2, 2)),
  "jnp.max": lambda a: a.max((1, 2), keepdims=True),
}


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_the_maps_sum_to_the_logit_s_change(pool, chunk_size):
  logits_fn = with_pooling(POOLS[pool])
  x = jax.random.normal(KEY, (5, 6, 8, 2), jnp.float64)
  y = jnp.arange(5)
  baseline = jax.random.normal(jax.random.key(3), x.shape[1:], jnp.float64)
  maps = deeplift(KEY, logits_fn, x, y, baseline=baseline, chunk_size=chunk_size)
  before = logits_fn(baseline[None])[0]
  np.testing.assert_allclose(maps.sum((1, 2, 3)), logits_fn(x)[y, y] - before[y], rtol=1e-10)


def test_the_rescale_rule_by_hand():
  # relu(2 a - b) at (1, 1) from (-1, -2): z goes from 0 to 1, relu too, so the slope is 1; and
  # relu(a + b) goes from 0 at z = -3 to 2 at z = 2, so the slope is 2 / 5.
  def logits_fn(x):
    a, b = x[:, 0, 0, 0], x[:, 0, 0, 1]
    return jnp.stack([jax.nn.relu(2 * a - b), jax.nn.relu(a + b)], axis=1)

  x = jnp.ones((2, 1, 1, 2))
  maps = deeplift(KEY, logits_fn, x, jnp.array([0, 1]), baseline=jnp.array([-1.0, -2.0]))
  np.testing.assert_allclose(maps.reshape(2, 2), [[4.0, -3.0], [0.8, 1.2]], rtol=1e-12)


@pytest.mark.slow
def test_it_is_integrated_gradients_where_each_relu_sees_a_straight_path():
  # One hidden layer: along the path each z moves evenly, so its mean slope is its rescaled one.
  inner = jax.random.normal(jax.random.key(1), (12, 7), jnp.float64)
  outer = jax.random.normal(jax.random.key(2), (7, 3), jnp.float64)

  def logits_fn(x):
    return jax.nn.relu(x.reshape(len(x), -1) @ inner - 0.3) @ outer

  model = KEY, logits_fn, jax.random.normal(KEY, (4, 2, 3, 2), jnp.float64), jnp.array([0, 1, 2, 1])
  path = integrated_gradients(*model, baseline=0.1, steps=20000, rule="midpoint", unroll=False)
  np.testing.assert_allclose(deeplift(*model, baseline=0.1), path, atol=1e-3)


def test_on_what_is_linear_between_the_two_images_it_is_the_gradient_times_the_change():
  logits_fn = with_pooling(POOLS["none"])
  x = 1.0 + jnp.zeros((2, 4, 4, 2))
  nearly = deeplift(KEY, logits_fn, x, jnp.array([0, 1]), baseline=1 - 1e-9)
  expected = 1e-9 * gradient_x_input(KEY, logits_fn, x, jnp.array([0, 1]))
  np.testing.assert_allclose(nearly, expected, rtol=1e-4, atol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "ross"])
def test_the_papers_networks_are_shared_out_completely(name):
  module = models.build(name)
  logits_fn = models.logits_fn(module, models.init(module, KEY, (8, 8, 1)))
  x, y = jax.random.uniform(KEY, (3, 8, 8, 1)), jnp.array([0, 1, 2])
  maps = deeplift(KEY, logits_fn, x, y)
  change = logits_fn(x)[jnp.arange(3), y] - logits_fn(jnp.zeros_like(x))[jnp.arange(3), y]
  np.testing.assert_allclose(maps.sum((1, 2, 3)), change, rtol=1e-4)


def test_an_image_that_is_its_baseline_has_a_map_of_zeros():
  x = jax.random.uniform(KEY, (2, 4, 4, 2))
  maps = deeplift(KEY, with_pooling(POOLS["nn.max_pool"]), x, jnp.array([0, 1]), baseline=x)
  np.testing.assert_array_equal(maps, 0)


def test_a_network_without_relus_is_refused():
  with pytest.raises(ValueError, match="logits_fn must have ReLUs"):
    deeplift(KEY, lambda x: x[:, 0, 0], jnp.ones((2, 1, 1, 2)), jnp.zeros(2, int))
