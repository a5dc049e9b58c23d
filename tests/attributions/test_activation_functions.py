"""One function, one map, however a network's ReLUs are written; nothing else is taken for one."""

import warnings

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import deconvnet, deeplift, guided_backprop, lrp, with_relu_rule

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
INNER, BIAS = RANDOM.normal(size=(6, 5)), RANDOM.normal(size=5)
MIDDLE, OUTER = 3 * RANDOM.normal(size=(5, 4)), RANDOM.normal(size=(4, 3))
X = RANDOM.uniform(0, 1, size=(3, 1, 3, 2))
Y = np.array([0, 1, 2])
BASELINE = 0.4
EPSILON = 0.3


@pytest.fixture(autouse=True)
def _double_precision():
  with jax.enable_x64(True):
    yield


@jax.custom_vjp
def own_derivative(z):
  return jax.nn.relu(z)


own_derivative.defvjp(lambda z: (jax.nn.relu(z), z), lambda z, g: (jnp.where(z > 0, g, 0),))


def in_a_scan(z):
  return jax.lax.scan(lambda z, _: (jax.nn.relu(z), None), z, None, length=1)[0]


def in_a_branch(z):
  return jax.lax.cond(z.sum() > 1e9, jnp.zeros_like, lambda z: jnp.clip(z, 0), z)


RELUS = {
  "jax.nn.relu": jax.nn.relu,
  "where": lambda z: jnp.where(z > 0, z, 0),
  "where, other way round": lambda z: jnp.where(z <= 0, 0.0, z),
  "clip": lambda z: jnp.clip(z, 0),
  "maximum with zeros": lambda z: jnp.maximum(z, jnp.zeros_like(z)),
  "maximum with an array": lambda z: jnp.maximum(z, np.zeros(z.shape)),
  "select": lambda z: jax.lax.select(z > 0, z, jnp.zeros_like(z)),
  "times its sign": lambda z: z * (z > 0),
  "minus the minimum": lambda z: -jnp.minimum(-z, 0),
  "half of z + |z|": lambda z: (z + jnp.abs(z)) / 2,
  "z minus the minimum": lambda z: z - jnp.minimum(z, 0),
  "leaky relu of slope 0": lambda z: jax.nn.leaky_relu(z, 0.0),
  "vmap": jax.vmap(jax.nn.relu),
  "jit": jax.jit(lambda z: jnp.where(z > 0, z, 0)),
  "checkpoint": jax.checkpoint(jax.nn.relu),
  "a derivative of its own": own_derivative,
  "in a scan": in_a_scan,
  "in a branch": in_a_branch,
}
CAPPED = {
  "jax.nn.relu6": jax.nn.relu6,
  "clip": lambda z: jnp.clip(z, 0, 6),
  "minimum of relu": lambda z: jnp.minimum(jax.nn.relu(z), 6.0),
  "where": lambda z: jnp.where(z < 0, 0, jnp.where(z > 6, 6, z)),
  "relu - relu": lambda z: jax.nn.relu(z) - jax.nn.relu(z - 6),
  "jit": jax.jit(jax.nn.relu6),
}


def network(activation, before=lambda x: x):
  def logits_fn(x):
    hidden = activation(before(x).reshape(len(x), -1) @ INNER + BIAS)
    return activation(hidden @ MIDDLE) @ OUTER

  return logits_fn


def in_numpy(method, activation, inside):
  """The backward pass of each method, layer by layer; `inside` is the derivative of f."""
  starts = (X.reshape(3, -1), np.full((3, 6), BASELINE))
  z1, z1_before = (a @ INNER + BIAS for a in starts)
  z2, z2_before = (activation(z) @ MIDDLE for z in (z1, z1_before))
  logit = np.sum(activation(z2) * OUTER.T[Y], axis=1, keepdims=True)

  def divided(a, z):
    return a / (z + EPSILON * np.where(z >= 0, 1, -1))

  rule = {
    "guided_backprop": lambda z, _, g: (z > 0) * inside(z) * np.maximum(inside(z) * g, 0),
    "deconvnet": lambda z, _, g: np.maximum(np.where(z > 0, inside(z), 1) * g, 0),
    "lrp": lambda z, _, g: g * divided(activation(z), z),
    "deeplift": lambda z, b, g: g * (activation(z) - activation(b)) / (z - b),
  }[method]
  g = OUTER.T[Y] * (divided(logit, logit) if method == "lrp" else 1)
  g = rule(z1, z1_before, rule(z2, z2_before, g) @ MIDDLE.T) @ INNER.T
  factor = {"lrp": starts[0], "deeplift": starts[0] - starts[1]}.get(method, 1)
  return (factor * g).reshape(X.shape)


def explained(method, logits_fn):
  settings = {"lrp": {"epsilon": EPSILON}, "deeplift": {"baseline": BASELINE}}
  function = {f.__name__: f for f in (guided_backprop, deconvnet, lrp, deeplift)}[method]
  return function(KEY, logits_fn, jnp.asarray(X), jnp.asarray(Y), **settings.get(method, {}))


METHODS = ["guided_backprop", "deconvnet", "lrp", "deeplift"]


def one_in_every_run(methods):
  """The rules find activations in one way: the last method stands for all in every run."""
  return [*(pytest.param(one, marks=pytest.mark.slow) for one in methods[:-1]), methods[-1]]


@pytest.mark.quick_cases(12)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", RELUS)
def test_every_spelling_of_relu_has_the_same_map(method, name):
  expected = in_numpy(method, lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0))
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    maps = explained(method, network(RELUS[name]))
  np.testing.assert_allclose(maps, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("method", one_in_every_run(METHODS))
@pytest.mark.parametrize("name", CAPPED)
def test_every_spelling_of_relu6_has_the_same_map(method, name):
  expected = in_numpy(method, lambda z: np.clip(z, 0, 6), lambda z: 1.0 * ((z > 0) & (z < 6)))
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    maps = explained(method, network(CAPPED[name]))
  np.testing.assert_allclose(maps, expected, rtol=1e-9, atol=1e-12)


OTHERS = {
  "leaky_relu": jax.nn.leaky_relu,
  "gelu": lambda z: jax.nn.gelu(z, approximate=False),
  "silu": jax.nn.silu,
  "hard_silu": jax.nn.hard_swish,
  "hard_sigmoid": jax.nn.hard_sigmoid,
  "elu": jax.nn.elu,
  "softplus": jax.nn.softplus,
  "tanh": jnp.tanh,
  "sigmoid": jax.nn.sigmoid,
}
PARTS = {
  "max and min": lambda z: jnp.maximum(z, 0) + 0.25 * jnp.minimum(z, 0),
  "two relus": lambda z: jax.nn.relu(z) - 0.25 * jax.nn.relu(-z),
  "an array of slopes": lambda z: jnp.where(z >= 0, z, jnp.linspace(0.1, 0.3, 5) * z),
}


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("name", [*OTHERS, *PARTS])
def test_other_activations_keep_their_derivative_and_are_named(name):
  activation = {**OTHERS, **PARTS}[name]

  def logits_fn(x):
    return jax.nn.relu(activation(x.reshape(len(x), -1) @ INNER) @ MIDDLE) @ OUTER

  sentence = name if name in OTHERS else "in logits_fn keep their derivative"
  with pytest.warns(UserWarning, match=f"guided_backprop has a rule for ReLUs alone.*{sentence}"):
    maps = explained("guided_backprop", logits_fn)
  z1 = X.reshape(3, -1) @ INNER
  z2 = np.asarray(activation(z1)) @ MIDDLE
  slope = np.asarray(activation(z1 + 1e-6) - activation(z1 - 1e-6)) / 2e-6
  g = (z2 > 0) * np.maximum(OUTER.T[Y], 0)
  expected = ((g @ MIDDLE.T) * slope @ INNER.T).reshape(X.shape)
  np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  "clamp",
  [
    lambda x: jnp.clip(x, 0, 1),
    lambda x: jnp.minimum(jnp.maximum(x, 0), 1),
    jax.nn.relu,
    lambda x: jnp.where(x > 0, x, 0),
    lambda x: jnp.clip(2 * x - 1, -1, 1) / 2 + 0.5,
  ],
)
@pytest.mark.parametrize("method", one_in_every_run(METHODS))
def test_a_clamp_of_the_images_is_no_activation(method, clamp):
  maps = explained(method, network(jax.nn.relu, before=clamp))
  np.testing.assert_allclose(maps, explained(method, network(jax.nn.relu)), rtol=1e-9, atol=1e-12)


def variance(h):
  return (h**2).mean(-1, keepdims=True) - h.mean(-1, keepdims=True) ** 2


NORMALISED = {
  "under a root": lambda h, clamp: h / jnp.sqrt(clamp(variance(h)) + 1e-3),
  "under a reciprocal root": lambda h, clamp: h * jax.lax.rsqrt(clamp(variance(h)) + 1e-3),
  "to a power": lambda h, clamp: h * (clamp(variance(h)) + 1e-3) ** -0.5,
  "as a denominator": lambda h, clamp: h / (1e-3 + clamp(variance(h))),
  "in another shape": lambda h, clamp: h / jnp.sqrt(clamp(variance(h)[:, 0])[:, None] + 1e-3),
}


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  "name",
  [
    pytest.param(name, marks=() if name in ("under a root", "to a power") else pytest.mark.slow)
    for name in NORMALISED
  ],
)
@pytest.mark.parametrize("method", one_in_every_run(["guided_backprop", "deconvnet", "deeplift"]))
def test_the_variance_of_a_normalisation_is_no_activation(method, name):
  def logits_fn(clamp):
    return network(lambda z: jax.nn.relu(NORMALISED[name](z, clamp)))

  for clamp in (lambda v: jnp.maximum(v, 0), lambda v: jnp.where(v > 0, v, 0)):
    maps = explained(method, logits_fn(clamp))
    expected = explained(method, logits_fn(lambda v: v))
    np.testing.assert_allclose(maps, expected, rtol=1e-8, atol=1e-11)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet", "deeplift"])
def test_flax_s_two_ways_to_a_variance_have_the_same_map(method):
  def logits_fn(fast):
    def normalise(z):
      scale = {"scale": jnp.ones(z.shape[-1]), "bias": jnp.zeros(z.shape[-1])}
      return nn.LayerNorm(use_fast_variance=fast).apply({"params": scale}, z)

    return network(lambda z: jax.nn.relu(normalise(z)))

  np.testing.assert_allclose(
    explained(method, logits_fn(True)), explained(method, logits_fn(False)), rtol=1e-8, atol=1e-11
  )


@pytest.mark.parametrize("method", ["guided_backprop", "deconvnet", "lrp"])
def test_a_network_of_gelu_and_layer_norm_is_refused_as_one_without_relus(method):
  def activation(z):
    return jax.nn.gelu(nn.LayerNorm(use_bias=False, use_scale=False).apply({}, z))

  with pytest.raises(ValueError, match="logits_fn must have ReLUs"):
    explained(method, network(activation))


@pytest.mark.parametrize(
  ("activation", "name"),
  [
    (lambda z: jax.nn.relu(z) * jax.nn.softmax(z), "max, stop_gradient, exp, div of several"),
    (lambda z: jax.nn.relu(NORMALISED["under a root"](z, lambda v: v)), "div of several"),
    (lambda z: jax.nn.relu(z) * z.sum(-1, keepdims=True), "mul of several layers"),
    (lambda z: jax.nn.sigmoid(jax.nn.relu(z)), "sigmoid"),
    (lambda z: jnp.maximum(jax.nn.relu(z), z.mean(-1, keepdims=True)), "max of several layers"),
    (lambda z: jnp.sort(jax.nn.relu(z)), "sort"),
  ],
)
def test_lrp_refuses_by_name_what_it_has_no_rule_for(activation, name):
  with pytest.raises(ValueError, match=f"for which lrp has no rule: {name}"):
    explained("lrp", network(activation))


@pytest.mark.parametrize("name", ["leaky_relu", "gelu", "silu", "hard_silu", "elu", "tanh"])
def test_lrp_shares_out_what_an_activation_that_is_0_at_0_gives(name):
  def logits_fn(x):
    return jax.nn.relu(OTHERS[name](x.reshape(len(x), -1) @ INNER) @ MIDDLE) @ OUTER

  def divided(a, z):
    return a / (z + EPSILON * np.where(z >= 0, 1, -1))

  z1 = X.reshape(3, -1) @ INNER
  a1 = np.asarray(OTHERS[name](z1))
  z2 = a1 @ MIDDLE
  logit = np.sum(np.maximum(z2, 0) * OUTER.T[Y], axis=1, keepdims=True)
  g = OUTER.T[Y] * divided(logit, logit) * divided(np.maximum(z2, 0), z2)
  expected = (X.reshape(3, -1) * ((g @ MIDDLE.T) * divided(a1, z1) @ INNER.T)).reshape(X.shape)
  np.testing.assert_allclose(explained("lrp", logits_fn), expected, rtol=1e-8, atol=1e-11)


@jax.custom_vjp
def block(z):
  return jax.nn.relu(z @ np.eye(5)) @ np.eye(5)


block.defvjp(lambda z: (block(z), z), lambda z, g: (g,))


def in_a_while_loop(z):
  return jax.lax.while_loop(lambda z: z.sum() < 0, jax.nn.relu, z)


@pytest.mark.parametrize(
  ("activation", "name"), [(block, "custom_vjp_call"), (in_a_while_loop, "while")]
)
def test_a_relu_that_cannot_be_replaced_is_refused_by_the_name_of_what_is_around_it(
  activation, name
):
  def logits_fn(x):
    return activation(x.reshape(len(x), -1) @ INNER)

  with pytest.raises(ValueError, match=f"logits_fn has a ReLU inside {name}"):
    with_relu_rule(logits_fn, lambda z, g: g)(jnp.asarray(X))
