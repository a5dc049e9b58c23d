"""A second call of any attack or attribution compiles nothing, outside `jit`, too."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.tree_util import Partial

from robust_saliency import attacks, attributions
from robust_saliency.models.convolution import loop_safe_conv
from tests.compilations import compilations

DIMENSIONS = jax.lax.conv_dimension_numbers((1, 8, 8, 1), (3, 3, 1, 4), ("NHWC", "HWIO", "NHWC"))
KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(0).uniform(0.2, 0.8, (3, 8, 8, 1)).astype(np.float32))
Y = jnp.array([0, 1, 2])
SHORT = {
  "steps": 3,
  "samples": 16,
  "queries": 20,
  "epsilon": 0.1,
  "binary_search_steps": 2,
  "initial_constant": 10.0,
  "learning_rate": 0.1,
}
ALL = {**attacks.ATTACKS, **attributions.ATTRIBUTIONS}
# The others are slow to compile once.
QUICK = ("pgd", "fgsm", "gradient", "smoothgrad")


def weights_of(seed):
  keys = jax.random.split(jax.random.key(seed))
  kernel = jax.random.normal(keys[0], (3, 3, 1, 4)) / 3
  return {"kernel": kernel, "dense": jax.random.normal(keys[1], (8 * 8 * 4, 4)) / 8}


def network(weights, x):
  # Whose gradient is another on each platform, a branch that JAX compiles by itself.
  x = loop_safe_conv(x, weights["kernel"], (1, 1), "SAME", dimension_numbers=DIMENSIONS)
  x = jax.nn.relu(x)
  return x.reshape(len(x), -1) @ weights["dense"]


def settings_of(function, **settings):
  known = inspect.signature(function).parameters
  settings = {name: value for name, value in {**SHORT, **settings}.items() if name in known}
  if "epsilon" in known and known["epsilon"].default is None:
    del settings["epsilon"]  # it looks for the nearest image, however far
  return settings


def has(name, setting):
  return setting in inspect.signature(ALL[name]).parameters


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(
  ("name", "restarts"),
  [
    pytest.param(name, restarts, marks=() if name in QUICK else pytest.mark.slow)
    for name in ALL
    for restarts in ((1, 2) if has(name, "restarts") else (1,))
  ],
)
@pytest.mark.filterwarnings("ignore:LIME")
def test_a_second_closure_over_other_weights_compiles_nothing(name, restarts):
  settings = settings_of(ALL[name], restarts=restarts)
  for chunks in ({}, {"chunk_size": 2}) if has(name, "chunk_size") else ({},):
    explain = functools.partial(ALL[name], **settings, **chunks)
    first, second = weights_of(0), weights_of(1)
    before = explain(KEY, functools.partial(network, first), X, Y)
    with compilations() as compiled:
      after = explain(KEY, lambda x, w=second: network(w, x), X, Y)
    assert not compiled
    assert not np.array_equal(before, after)
    whole = jax.jit(functools.partial(explain, KEY, functools.partial(network, second)))
    np.testing.assert_allclose(after, whole(X, Y), rtol=1e-4, atol=1e-5)


def with_backward(sign):
  """The same network, whose derivative alone differs, as behind `attacks.bpda`."""

  @jax.custom_vjp
  def same(x):
    return x

  same.defvjp(lambda x: (x, None), lambda _, g: (sign * g,))
  return lambda x: network(weights_of(0), same(x))


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("name", ["fgsm", "pgd", "gradient", "smoothgrad"])
def test_networks_that_differ_in_their_derivative_alone_are_told_apart(name):
  function = functools.partial(ALL[name], KEY, **settings_of(ALL[name], keep="last"))
  right, wrong = (function(with_backward(sign), X, Y) for sign in (1.0, -1.0))
  plain = function(functools.partial(network, weights_of(0)), X, Y)
  np.testing.assert_allclose(right, plain, rtol=1e-5, atol=1e-6)
  if name in attributions.ATTRIBUTIONS:
    np.testing.assert_allclose(wrong, -plain, rtol=1e-5, atol=1e-6)
  else:
    assert np.abs(wrong - right).max() > 0.05


def nnx_network(seed):
  model = nnx.Sequential(lambda x: x.reshape(len(x), -1), nnx.Linear(64, 4, rngs=nnx.Rngs(seed)))
  model.eval()
  return model


def test_networks_that_are_changed_in_place_give_their_new_answer_without_compiling():
  held, other = dict(weights_of(0)), weights_of(2)
  module, changed = nnx_network(0), nnx_network(1)
  attack = functools.partial(attacks.pgd, KEY, x=X, y=Y, epsilon=0.1, steps=12)

  def read(x):
    return network(held, x)

  stale = [attack(logits_fn=one) for one in (read, module, Partial(network, weights_of(0)))]
  held.update(other)
  nnx.update(module, nnx.state(changed))
  with compilations() as compiled:
    found = [attack(logits_fn=one) for one in (read, module, Partial(network, other))]
  assert not compiled
  right = [attack(logits_fn=one) for one in (Partial(network, other), changed)]
  for before, now, expected in zip(stale, found, [*right, right[0]], strict=True):
    np.testing.assert_array_equal(now, expected)
    assert not np.array_equal(before, now)
