import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.attributions import deconvnet, gradient_x_input, guided_backprop, lrp

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
INNER, BIAS = RANDOM.normal(size=(12, 9)), RANDOM.normal(size=9)
MIDDLE, OUTER = RANDOM.normal(size=(9, 7)), RANDOM.normal(size=(7, 3))
X = RANDOM.uniform(-1, 1, size=(4, 2, 3, 2))
Y = np.array([0, 1, 2, 1])


@pytest.fixture(autouse=True)
def _double_precision():
  with jax.enable_x64(True):
    yield


def network(x):
  hidden = jax.nn.relu(x.reshape(len(x), -1) @ INNER + BIAS)
  return jax.nn.relu(hidden @ MIDDLE) @ OUTER


def in_numpy(rule):
  """The backward pass written out, with `rule(z, g)` for ReLUs."""
  z1 = X.reshape(4, -1) @ INNER + BIAS
  z2 = np.maximum(z1, 0) @ MIDDLE
  g = OUTER.T[Y]
  g = rule(z2, g) @ MIDDLE.T
  return (rule(z1, g) @ INNER.T).reshape(X.shape)


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(
  ("method", "rule"),
  [
    (guided_backprop, lambda z, g: (z > 0) * (g > 0) * g),
    (deconvnet, lambda z, g: (g > 0) * g),
  ],
)
@pytest.mark.parametrize("chunk_size", [None, 1, 3])
def test_it_is_the_backward_pass_with_its_rule(method, rule, chunk_size):
  maps = method(KEY, network, jnp.asarray(X), jnp.asarray(Y), chunk_size=chunk_size)
  np.testing.assert_allclose(maps, in_numpy(rule), rtol=1e-10, atol=1e-12)


def shares(inputs, weights, bias, relevance, epsilon):
  """Bach et al.'s equation 58, neuron by neuron."""
  result = np.zeros_like(inputs)
  for n, j in np.ndindex(len(inputs), weights.shape[1]):
    z = inputs[n] @ weights[:, j] + bias[j]
    result[n] += inputs[n] * weights[:, j] / (z + epsilon * (1 if z >= 0 else -1)) * relevance[n, j]
  return result


@pytest.mark.parametrize("epsilon", [0.01, 0.3, 5.0])
@pytest.mark.parametrize("chunk_size", [None, 3])
def test_lrp_shares_out_relevance_neuron_by_neuron(epsilon, chunk_size):
  a0 = X.reshape(4, -1)
  a1 = np.maximum(a0 @ INNER + BIAS, 0)
  a2 = np.maximum(a1 @ MIDDLE, 0)
  relevance = (a2 @ OUTER) * np.eye(3)[Y]
  relevance = shares(a2, OUTER, np.zeros(3), relevance, epsilon)
  relevance = shares(a1, MIDDLE, np.zeros(7), relevance, epsilon)
  expected = shares(a0, INNER, BIAS, relevance, epsilon).reshape(X.shape)
  maps = lrp(KEY, network, jnp.asarray(X), jnp.asarray(Y), epsilon=epsilon, chunk_size=chunk_size)
  np.testing.assert_allclose(maps, expected, rtol=1e-9, atol=1e-12)


def test_lrp_without_epsilon_is_the_gradient_times_the_input():
  model = KEY, network, jnp.asarray(X), jnp.asarray(Y)
  np.testing.assert_allclose(lrp(*model, epsilon=0.0), gradient_x_input(*model), rtol=1e-9)


@pytest.mark.slow
def test_a_network_without_biases_keeps_all_relevance_in_lrp():
  module = models.build("digits")
  variables = models.init(module, jax.random.key(0), (8, 8, 1))  # its biases start at 0
  logits_fn = models.logits_fn(module, variables)
  x, y = jax.random.uniform(KEY, (3, 8, 8, 1)), jnp.array([0, 1, 2])
  maps = lrp(KEY, logits_fn, x, y, epsilon=0.0)
  logits = jnp.take_along_axis(logits_fn(x), y[:, None], 1)[:, 0]
  np.testing.assert_allclose(maps.sum(axis=(1, 2, 3)), logits, rtol=1e-4)
  less = lrp(KEY, logits_fn, x, y, epsilon=1.0)
  assert np.all(jnp.abs(less.sum(axis=(1, 2, 3))) < jnp.abs(logits))


def test_lrp_gives_no_nan_where_nothing_is_active():
  maps = lrp(
    KEY, lambda x: jax.nn.relu(x[:, 0, 0]), jnp.zeros((1, 1, 1, 2)), jnp.array([0]), epsilon=0.0
  )
  np.testing.assert_array_equal(maps, 0)


@pytest.mark.parametrize("method", [guided_backprop, deconvnet, lrp])
def test_a_network_without_relus_is_refused(method):
  with pytest.raises(ValueError, match="logits_fn must have ReLUs"):
    method(KEY, lambda x: x[:, 0, 0], jnp.asarray(X), jnp.zeros(4, int))


def test_a_negative_epsilon_is_refused():
  with pytest.raises(ValueError, match="epsilon must be >= 0, got -1"):
    lrp(KEY, network, jnp.asarray(X), jnp.asarray(Y), epsilon=-1.0)
