import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import zoom

from robust_saliency.attributions import grad_cam, smoothgrad

KEY = jax.random.key(0)
X = jax.random.uniform(jax.random.key(1), (3, 8, 6, 2))
Y = jnp.array([0, 2, 1])
MIX = jax.random.normal(jax.random.key(2), (2, 4))
OUT = jax.random.normal(jax.random.key(3), (4 * 3 * 4, 3))


def features_fn(x):
  """[B, 8, 6, 2] -> [B, 4, 3, 4]."""
  return jnp.tanh(x[:, ::2, ::2] @ MIX)


def head_fn(features):
  return features.reshape(len(features), -1) @ OUT


def whole(x):
  return head_fn(features_fn(x))


@pytest.mark.parametrize("relu", [True, False])
def test_it_is_the_features_weighted_by_their_mean_gradient_and_enlarged(relu):
  maps = grad_cam(KEY, whole, X, Y, features_fn=features_fn, head_fn=head_fn, relu=relu)
  features = np.asarray(features_fn(X))
  for n in range(3):
    # The gradient of a linear head is its weights.
    weights = np.asarray(OUT)[:, Y[n]].reshape(4, 3, 4).mean(axis=(0, 1))
    cam = features[n] @ weights
    cam = np.maximum(cam, 0) if relu else cam
    expected = zoom(cam, 2, order=1, mode="nearest", grid_mode=True)
    for channel in range(2):
      np.testing.assert_allclose(maps[n, ..., channel], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("chunk_size", [1, 2, 5])
def test_chunks_change_nothing(chunk_size):
  settings = {"features_fn": features_fn, "head_fn": head_fn, "score": "margin"}
  chunks = grad_cam(KEY, whole, X, Y, chunk_size=chunk_size, **settings)
  np.testing.assert_allclose(chunks, grad_cam(KEY, whole, X, Y, **settings), rtol=1e-5, atol=1e-7)


def test_it_can_be_smoothed_like_any_attribution():
  def explain(*model):
    return grad_cam(*model, features_fn=features_fn, head_fn=head_fn)

  maps = smoothgrad(KEY, whole, X, Y, attribution=explain, samples=3, noise_level=0.0)
  np.testing.assert_allclose(maps, explain(KEY, whole, X, Y), rtol=1e-5, atol=1e-7)


def test_features_without_places_are_refused():
  with pytest.raises(ValueError, match="features_fn must map images"):
    grad_cam(KEY, whole, X, Y, features_fn=whole, head_fn=lambda f: f)
  with pytest.raises(ValueError, match="y must hold classes 0 to 2, got 3"):
    grad_cam(KEY, whole, X, Y + 1, features_fn=features_fn, head_fn=head_fn)
