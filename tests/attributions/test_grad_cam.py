import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import zoom

from robust_saliency import models
from robust_saliency.attributions import grad_cam, smoothgrad
from robust_saliency.attributions.relu_rules import with_opened_relu

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
X = jnp.asarray(RANDOM.uniform(size=(3, 8, 6, 2)), jnp.float32)
Y = jnp.array([0, 2, 1])
MIX = jnp.asarray(RANDOM.normal(size=(2, 4)), jnp.float32)
OUT = jnp.asarray(RANDOM.normal(size=(4 * 3 * 4, 3)), jnp.float32)


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


@pytest.mark.quick_cases(1)
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "ross", "wide_resnet"])
def test_by_itself_it_takes_the_last_relu_that_gives_maps(name):
  fields = {"depth": 10, "width": 1} if name == "wide_resnet" else {}
  module = models.build(name, **fields)
  logits_fn = models.logits_fn(module, models.init(module, KEY, (8, 8, 1)))
  x, y = jax.random.uniform(KEY, (2, 8, 8, 1)), jnp.array([0, 3])
  opened = with_opened_relu(logits_fn, x)
  logits, features = opened(x, 0.0)
  np.testing.assert_allclose(logits, logits_fn(x), rtol=1e-5, atol=1e-6)
  assert features.shape[:3] == {"wide_resnet": (2, 2, 2)}.get(name, (2, 4, 4))
  assert features.min() == 0
  # Larger features do to the logit what their gradient says.
  slopes = jax.grad(lambda shift: opened(x, shift)[0][:, 0].sum())(0 * features)
  change = opened(x, 0.01 * features)[0][:, 0] - opened(x, -0.01 * features)[0][:, 0]
  expected = 0.02 * (slopes * features).sum(axis=(1, 2, 3))
  np.testing.assert_allclose(change, expected, rtol=5e-2, atol=1e-4)
  maps = grad_cam(KEY, logits_fn, x, y, chunk_size=1)
  assert maps.shape == x.shape
  assert np.isfinite(maps).all()


def test_what_goes_around_the_relu_counts_for_the_score_and_not_for_the_features():
  def with_shortcut(x):
    maps = jax.nn.relu(x @ MIX)
    return maps.sum(axis=(1, 2))[:, :3] ** 2 + x.sum(axis=(1, 2, 3))[:, None] ** 2

  maps = grad_cam(KEY, with_shortcut, X, Y)
  features = np.maximum(np.asarray(X @ MIX), 0)
  for n in range(3):
    # d (sum F_y)^2 / dF_y = 2 sum F_y at every place.
    expected = 2 * features[n, ..., Y[n]].sum() * features[n, ..., Y[n]]
    np.testing.assert_allclose(maps[n, ..., 0], expected, rtol=1e-4)


def test_features_without_places_are_refused():
  with pytest.raises(ValueError, match="features_fn must map images"):
    grad_cam(KEY, whole, X, Y, features_fn=whole, head_fn=lambda f: f)
  with pytest.raises(ValueError, match="y must hold classes 0 to 2, got 3"):
    grad_cam(KEY, whole, X, Y + 1, features_fn=features_fn, head_fn=head_fn)
  with pytest.raises(ValueError, match="must be given both or neither"):
    grad_cam(KEY, whole, X, Y, features_fn=features_fn)
  with pytest.raises(ValueError, match="logits_fn must have a ReLU of maps"):
    grad_cam(KEY, whole, X, Y)


KERNEL = jnp.asarray(RANDOM.normal(size=(3, 3, 2, 6)), jnp.float32)


def convolved(activation, x, spec):
  weights = KERNEL if spec == "NHWC" else KERNEL.transpose(3, 2, 0, 1)
  kernel = {"NHWC": "HWIO", "NCHW": "OIHW"}[spec]
  return activation(
    jax.lax.conv_general_dilated(x, weights, (1, 1), "SAME", dimension_numbers=(spec, kernel, spec))
  )


def channels_last(x, activation=jax.nn.relu):
  return convolved(activation, x, "NHWC").mean((1, 2))[:, :3]


def channels_first(x):
  def one(image):
    [maps] = convolved(lambda z: z, image.transpose(2, 0, 1)[None], "NCHW")
    return jax.nn.relu(maps).mean((1, 2))[:3]

  return jax.vmap(one)(x)


# As many channels as rows and columns, so that shapes say nothing.
SQUARE = jnp.asarray(RANDOM.uniform(size=(2, 6, 6, 2)), jnp.float32)


def test_a_network_with_channels_first_has_the_map_of_the_same_one_with_channels_last():
  y = jnp.array([0, 2])
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    maps = grad_cam(KEY, channels_first, SQUARE, y)
    expected = grad_cam(KEY, channels_last, SQUARE, y)
  np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-6)
  features = np.maximum(np.asarray(convolved(lambda z: z, SQUARE, "NHWC")), 0)
  for n in range(2):
    # The mean's gradient is 1/36 at every place of the class's map.
    np.testing.assert_allclose(expected[n, ..., 0], features[n, ..., y[n]] / 36, rtol=1e-4)


@pytest.mark.parametrize("axis", [1, -3])
def test_channel_axis_says_where_the_channels_of_given_features_are(axis):
  def first(x):
    return features_fn(x).transpose(0, 3, 1, 2)

  def head(features):
    return head_fn(features.transpose(0, 2, 3, 1))

  expected = grad_cam(KEY, whole, X, Y, features_fn=features_fn, head_fn=head_fn)
  maps = grad_cam(KEY, whole, X, Y, features_fn=first, head_fn=head, channel_axis=axis)
  np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-6)


def test_features_that_could_have_their_channels_first_are_warned_of():
  def network(x):
    return jax.nn.relu(jnp.sin(jnp.fft.fft(x).real @ jnp.ones((2, 6)))).sum((1, 2))[:, :3]

  def unknown(x):
    return jnp.cumsum(jnp.concatenate([x, x, x], axis=-1), axis=-1)

  with pytest.warns(UserWarning, match="give channel_axis=-1, or channel_axis=1"):
    grad_cam(
      KEY,
      network,
      SQUARE,
      jnp.array([0, 1]),
      features_fn=unknown,
      head_fn=lambda f: f.sum((1, 2))[:, :3],
    )
  with pytest.raises(ValueError, match="channel_axis must be 1, 2, 3, -1, -2, -3 or None, got 4"):
    grad_cam(KEY, channels_last, SQUARE, jnp.array([0, 1]), channel_axis=4)


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(
  "activation",
  [jax.nn.relu6, jax.nn.hard_swish, jax.nn.silu, jax.nn.gelu, jax.nn.leaky_relu, jax.nn.elu],
)
def test_activations_like_relu_give_their_maps_and_gates_do_not(activation):
  def logits_fn(x):
    maps = convolved(activation, x, "NHWC")
    gates = jax.nn.relu(maps.mean((1, 2), keepdims=True) @ jnp.eye(6))
    return (maps * jax.nn.hard_sigmoid(gates)).mean((1, 2))[:, :3]

  def head(maps):
    gates = jax.nn.relu(maps.mean((1, 2), keepdims=True) @ jnp.eye(6))
    return (maps * jax.nn.hard_sigmoid(gates)).mean((1, 2))[:, :3]

  maps = grad_cam(KEY, logits_fn, SQUARE, jnp.array([0, 1]), relu=False)
  expected = grad_cam(
    KEY,
    logits_fn,
    SQUARE,
    jnp.array([0, 1]),
    features_fn=lambda x: convolved(activation, x, "NHWC"),
    head_fn=head,
    relu=False,
  )
  np.testing.assert_allclose(maps, expected, rtol=1e-4, atol=1e-6)


def transformer(patches, attended, outer):
  """One layer of attention of a class token to the patches of an image, in two parts."""

  def features_fn(x):
    maps = jnp.tanh(x @ patches)
    return {"maps": maps, "token": jnp.mean(x, axis=(1, 2)) @ attended}

  def head_fn(features):
    maps = features["maps"].reshape(len(features["token"]), -1, patches.shape[1])
    attention = jax.nn.softmax(jnp.einsum("bpd,bd->bp", maps, features["token"]))
    return jnp.tanh(features["token"] + jnp.einsum("bp,bpd->bd", attention, maps)) @ outer

  return features_fn, head_fn


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("chunk_size", [1, 2, 3])
def test_what_a_head_needs_beside_the_maps_is_cut_into_chunks_with_them(chunk_size):
  random = np.random.default_rng(0)
  weights = (random.normal(size=shape).astype(np.float32) for shape in ((2, 4), (2, 4), (4, 3)))
  features_fn, head_fn = transformer(*weights)
  x = jnp.asarray(random.uniform(size=(5, 4, 4, 2)), jnp.float32)
  y = jnp.array([0, 1, 2, 0, 1])
  token = features_fn(x)["token"]
  # The token closed over, which only a whole batch allows.
  exact = grad_cam(
    jax.random.key(0), None, x, y, relu=False, channel_axis=-1,
    features_fn=lambda x: features_fn(x)["maps"],
    head_fn=lambda maps: head_fn({"maps": maps, "token": token}),
  )  # fmt: skip
  found = grad_cam(
    jax.random.key(0), None, x, y, relu=False, channel_axis=-1, chunk_size=chunk_size,
    features_fn=features_fn, head_fn=head_fn,
  )  # fmt: skip
  np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-6)
  assert np.abs(exact).max() > 1e-4


def test_features_by_other_names_are_refused():
  with pytest.raises(ValueError, match='features_fn must give the features by the name "maps"'):
    grad_cam(
      jax.random.key(0), None, jnp.ones((1, 2, 2, 1)), jnp.array([0]),
      features_fn=lambda x: {"features": x}, head_fn=lambda features: features["features"],
    )  # fmt: skip
