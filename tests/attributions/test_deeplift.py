import warnings

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.attributions import (
  completeness_error,
  deeplift,
  gradient_x_input,
  integrated_gradients,
)

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


@pytest.mark.quick_cases(2)
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


def flat(x):
  return x.reshape(len(x), -1)


ACTIVATIONS = {
  "relu": jax.nn.relu,
  "relu6": lambda z: jax.nn.relu6(4 * z),
  "hard_swish": jax.nn.hard_swish,
  "leaky_relu": jax.nn.leaky_relu,
  "elu": jax.nn.elu,
  "gelu": jax.nn.gelu,
  "silu": jax.nn.silu,
  "softplus": jax.nn.softplus,
  "tanh": jnp.tanh,
  "sigmoid": jax.nn.sigmoid,
  "a step": lambda z: (z > 0) * 1.0,
  "one written by hand": lambda z: jnp.where(z > 1, jnp.log(jnp.where(z > 1, z, 1)), jnp.sin(z)),
}
WEIGHTS = [np.random.default_rng(i).normal(size=size) for i, size in enumerate([(12, 7), (7, 3)])]


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_passes_on_its_slope_between_the_two_images(name):
  x = np.random.default_rng(3).normal(size=(3, 2, 3, 2))
  start, f = np.full((3, 12), 0.3), ACTIVATIONS[name]
  maps = deeplift(
    KEY,
    lambda x: f(flat(x) @ WEIGHTS[0]) @ WEIGHTS[1],
    jnp.asarray(x),
    jnp.array([0, 1, 2]),
    baseline=0.3,
  )
  z, z_before = flat(x) @ WEIGHTS[0], start @ WEIGHTS[0]
  slope = (np.asarray(f(z)) - np.asarray(f(z_before))) / (z - z_before)
  expected = (flat(x) - start) * ((slope * WEIGHTS[1].T) @ WEIGHTS[0].T)
  np.testing.assert_allclose(flat(maps), expected, rtol=1e-9, atol=1e-12)


def test_a_product_shares_out_its_change_as_shapley_s_value_of_two_players():
  # ab from (1, 2) to (4, 6): a's change 3 times the mean 4 of b, b's change 4 times the mean 2.5.
  def logits_fn(x):
    a, b = x[:, 0, 0, 0], x[:, 0, 0, 1]
    return jnp.stack([a * b, a / b], axis=1)

  x, start = jnp.array([4.0, 6.0]).reshape(1, 1, 1, 2), jnp.array([1.0, 2.0])
  maps = deeplift(KEY, logits_fn, x, jnp.array([0]), baseline=start)
  np.testing.assert_allclose(flat(maps), [[12.0, 10.0]], rtol=1e-12)
  # a/b: a times the reciprocal, which goes from 1/2 to 1/6.
  maps = deeplift(KEY, logits_fn, x, jnp.array([1]), baseline=start)
  np.testing.assert_allclose(flat(maps), [[3 * (1 / 2 + 1 / 6) / 2, (1 / 6 - 1 / 2) * 2.5]])


def attend(h):
  tokens = h.reshape(len(h), -1, h.shape[-1])
  weights = jax.nn.softmax(jnp.einsum("bik,bjk->bij", tokens, tokens) / 4)
  return tokens + jnp.einsum("bij,bjk->bik", weights, tokens)


LAYERS = {
  "layer norm": lambda h: nn.relu(nn.LayerNorm(use_scale=False, use_bias=False).apply({}, h)),
  "layer norm, slow": lambda h: nn.gelu(
    nn.LayerNorm(use_scale=False, use_bias=False, use_fast_variance=False).apply({}, h)
  ),
  "group norm": lambda h: nn.silu(
    nn.GroupNorm(num_groups=2, use_scale=False, use_bias=False).apply({}, h)
  ),
  "batch norm in evaluation mode": lambda h: nn.relu(
    nn.BatchNorm(use_running_average=True, use_scale=False, use_bias=False).apply(
      {"batch_stats": {"mean": jnp.full(4, 0.1), "var": jnp.full(4, 2.0)}}, h
    )
  ),
  "a residual": lambda h: h + nn.hard_swish(2 * h + 1),
  "groups": lambda h: nn.relu6(
    jax.lax.conv_general_dilated(
      h,
      jnp.cos(jnp.arange(72.0, dtype=jnp.float32)).reshape(3, 3, 2, 4),
      (1, 1),
      "SAME",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
      feature_group_count=2,
    )
  ),
  "squeeze and excitation": lambda h: h * nn.hard_sigmoid(h.mean((1, 2), keepdims=True) * 3),
  "attention": attend,
  "softmax": nn.softmax,
  "log-softmax": nn.log_softmax,
  "softplus before a maximum": lambda h: jnp.maximum(nn.softplus(h), h.mean(-1, keepdims=True)),
  "average pooling": lambda h: nn.avg_pool(nn.tanh(h), (2, 2), (2, 2)),
  "a minimum": lambda h: h.min((1, 2)),
  "a standard deviation": lambda h: jnp.std(h, axis=(1, 2)),
  "a norm": lambda h: h / jnp.linalg.norm(h, axis=-1, keepdims=True),
  "a scan": lambda h: jax.lax.scan(lambda h, w: (jnp.tanh(w * h), None), h, jnp.float32([1, 2]))[0],
  "a branch": lambda h: jax.lax.cond(h.sum() > 1e9, jnp.zeros_like, nn.relu, h),
}


# A norm, products of maps, a maximum, a loop: the others take their seconds with the slow tests.
IN_EVERY_RUN = ("layer norm", "attention", "log-softmax", "a minimum", "a scan")


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(
  "name",
  [pytest.param(n, marks=[pytest.mark.slow] * (n not in IN_EVERY_RUN)) for n in LAYERS],
)
def test_the_maps_sum_to_the_change_by_way_of(name):
  kernel = jax.random.normal(jax.random.key(1), (3, 3, 2, 4), jnp.float32)

  def logits_fn(x):
    dimensions = ("NHWC", "HWIO", "NHWC")
    h = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=dimensions)
    last = flat(LAYERS[name](h))
    return last @ jnp.sin(jnp.arange(last.shape[1] * 3.0)).reshape(-1, 3).astype(jnp.float32)

  x, y = jax.random.normal(KEY, (3, 4, 6, 2), jnp.float32), jnp.array([0, 1, 2])
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    maps = jax.jit(lambda x: deeplift(KEY, logits_fn, x, y, baseline=0.2))(x)
  change = completeness_error(logits_fn, x, y, 0 * maps, baseline=0.2)
  error = completeness_error(logits_fn, x, y, maps, baseline=0.2)
  assert np.abs(error).max() < 1e-4 * np.abs(change).max()


def test_batch_norm_in_training_mode_is_shared_out_over_the_whole_batch():
  def logits_fn(x):
    norm = nn.BatchNorm(use_running_average=False, use_scale=False, use_bias=False)
    h, _ = norm.apply({"batch_stats": {}}, flat(x) @ WEIGHTS[0], mutable=["batch_stats"])
    return jax.nn.relu(h) @ WEIGHTS[1]

  x, y = jax.random.normal(KEY, (4, 2, 3, 2)), jnp.array([0, 1, 2, 0])
  baseline = jax.random.normal(jax.random.key(1), x.shape)
  with pytest.warns(UserWarning, match=r"do not sum to the logit's change for 4 of 4 images: off"):
    maps = deeplift(KEY, logits_fn, x, y, baseline=baseline)
  error = completeness_error(logits_fn, x, y, maps, baseline=baseline)
  np.testing.assert_allclose(error.sum(), 0, atol=1e-10)
  assert np.abs(error).max() > 0.01


def test_what_has_no_rule_is_named_with_the_error():
  def logits_fn(x):
    h = flat(x) @ WEIGHTS[0]
    return jnp.cumprod(jax.nn.gelu(h) + 0.5, axis=1) @ WEIGHTS[1]

  x, y = jax.random.normal(KEY, (2, 2, 3, 2)), jnp.array([0, 1])
  with pytest.warns(UserWarning, match="there is no rule for cumprod$") as caught:
    maps = deeplift(KEY, logits_fn, x, y)
  error = np.abs(completeness_error(logits_fn, x, y, maps)).max()
  assert f"off by up to {error:.3g}" in str(caught[0].message)


def test_a_linear_network_has_the_gradient_times_the_change():
  x = jax.random.normal(KEY, (2, 2, 3, 2))
  maps = deeplift(KEY, lambda x: flat(x) @ WEIGHTS[0], x, jnp.array([0, 6]), baseline=0.5)
  np.testing.assert_allclose(flat(maps), (flat(x) - 0.5) * WEIGHTS[0][:, [0, 6]].T, rtol=1e-12)


@pytest.mark.slow
def test_maps_that_rounding_has_spoilt_are_warned_of():
  def logits_fn(x):
    h = flat(x) @ WEIGHTS[0].astype(np.float32)
    for _ in range(4):
      h = nn.LayerNorm(use_scale=False, use_bias=False).apply({}, h)
    return h @ WEIGHTS[1].astype(np.float32)

  x = jax.random.normal(KEY, (2, 2, 3, 2), jnp.float32)
  with pytest.warns(UserWarning, match="a variance be 0 at the baseline"):
    deeplift(KEY, logits_fn, x, jnp.array([0, 1]))
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    deeplift(KEY, logits_fn, x, jnp.array([0, 1]), baseline=x[::-1])
