import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import SCORES, gradient, gradient_x_input

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(size=(18, 6)), RANDOM.normal(size=(6, 4))
X = RANDOM.uniform(-1, 1, size=(5, 3, 3, 2))
Y = np.array([0, 1, 2, 3, 0])
KEY = jax.random.key(0)


def network(x):
  return jnp.tanh(x.reshape(len(x), -1) @ WEIGHTS[0]) @ WEIGHTS[1]


@pytest.fixture(autouse=True)
def _double_precision():
  with jax.enable_x64(True):
    yield


def score_in_numpy(name, x):
  """The six scores, written with NumPy alone: [B]."""
  logits = np.tanh(x.reshape(len(x), -1) @ WEIGHTS[0]) @ WEIGHTS[1]
  rows = np.arange(len(x))
  log_probability = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))[rows, Y]
  of_all = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
  others = logits.copy()
  others[rows, Y] = -np.inf
  return {
    "logit": logits[rows, Y],
    "probability": np.exp(log_probability),
    "log_probability": log_probability,
    "cross_entropy": -log_probability,
    "uniform_cross_entropy": -of_all.mean(axis=1),
    "margin": logits[rows, Y] - others.max(axis=1),
  }[name]


@pytest.mark.parametrize("score", SCORES)
def test_gradient_of_every_score_agrees_with_finite_differences(score):
  expected = np.zeros_like(X)
  for pixel in np.ndindex(X.shape[1:]):
    step = np.zeros(X.shape[1:])
    step[pixel] = 1e-6
    difference = score_in_numpy(score, X + step) - score_in_numpy(score, X - step)
    expected[:, *pixel] = difference / 2e-6
  maps = gradient(KEY, network, jnp.asarray(X), jnp.asarray(Y), score=score)
  np.testing.assert_allclose(maps, expected, rtol=1e-6, atol=1e-8)
  times_input = gradient_x_input(KEY, network, jnp.asarray(X), jnp.asarray(Y), score=score)
  np.testing.assert_allclose(times_input, X * expected, rtol=1e-6, atol=1e-8)


def test_a_score_may_be_any_function_of_logits_and_classes():
  maps = gradient(KEY, network, jnp.asarray(X), jnp.asarray(Y), score=lambda z, y: z[:, 1] * y)
  expected = gradient(KEY, network, jnp.asarray(X), jnp.full(5, 1)) * Y[:, None, None, None]
  np.testing.assert_allclose(maps, expected, rtol=1e-12)


@pytest.mark.parametrize("method", [gradient, gradient_x_input])
@pytest.mark.parametrize("chunk_size", [1, 2, 3, 5, 7])
def test_chunks_change_nothing(method, chunk_size):
  x, y = jnp.asarray(X), jnp.asarray(Y)
  whole = method(KEY, network, x, y)
  chunks = jax.jit(lambda x: method(KEY, network, x, y, chunk_size=chunk_size))(x)
  np.testing.assert_allclose(chunks, whole, rtol=1e-12)


def test_a_gradient_of_a_gradient_is_the_hessian():
  # One more derivative, for penalties on saliency: of z = x^3, 6 x.
  x = jnp.array([[[[0.5]]], [[[2.0]]]])

  def cubic(x):
    return jnp.concatenate([x.reshape(-1, 1) ** 3, jnp.zeros((len(x), 1))], axis=1)

  second = jax.grad(lambda x: gradient(KEY, cubic, x, jnp.zeros(2, int)).sum())(x)
  np.testing.assert_allclose(second, 6 * x, rtol=1e-6)


@pytest.mark.parametrize("method", [gradient, gradient_x_input])
@pytest.mark.parametrize(
  ("change", "error", "sentence"),
  [
    ({"x": np.zeros((5, 3, 3, 2), np.uint8)}, TypeError, "x must hold floating-point pixels"),
    ({"x": np.full((5, 3, 3, 2), np.nan, np.float32)}, ValueError, "x must be finite"),
    ({"y": np.array([0, 1, 2, 3, 4])}, ValueError, "y must hold classes 0 to 3, got 4"),
    ({"y": np.array([0, 1])}, ValueError, "one class per image"),
    ({"y": Y.astype(np.float32)}, TypeError, "y must hold integer classes"),
    ({"score": "logits"}, ValueError, r"got 'logits' \(did you mean 'logit'\?\)"),
    ({"chunk_size": 0}, ValueError, "chunk_size must be >= 1, got 0"),
    ({"logits_fn": lambda x: x}, ValueError, "logits_fn must map images"),
  ],
)
def test_bad_arguments_end_in_a_sentence(method, change, error, sentence):
  arguments = {"key": KEY, "logits_fn": network, "x": X, "y": Y, **change}
  arguments = {
    name: jnp.asarray(value) if isinstance(value, np.ndarray) else value
    for name, value in arguments.items()
  }
  with pytest.raises(error, match=sentence):
    method(**arguments)
