"""Modules with stock layers in training: against the modules themselves, on one device and two."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from robust_saliency import models, objectives, training

IMAGES = np.random.default_rng(0).random((24, 4, 4, 1), np.float32)
LABELS = np.arange(24) % 3


class Linen(nn.Module):
  """Batch norm and dropout, as Flax's own examples use them."""

  rate: float = 0.0

  @nn.compact
  def __call__(self, x, train):
    x = nn.Conv(4, (3, 3))(x)
    x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
    x = nn.Dropout(self.rate, deterministic=not train)(x.reshape(len(x), -1))
    return nn.Dense(3)(x)


class Nnx(nnx.Module):
  """The same in NNX."""

  def __init__(self, rate, axis_name, rngs):
    self.conv = nnx.Conv(1, 4, (3, 3), rngs=rngs)
    self.norm = nnx.BatchNorm(4, axis_name=axis_name, rngs=rngs)
    self.dropout = nnx.Dropout(rate, rngs=rngs)
    self.dense = nnx.Linear(64, 3, rngs=rngs)

  def __call__(self, x):
    x = nnx.relu(self.norm(self.conv(x)))
    return self.dense(self.dropout(x.reshape(len(x), -1)))


def linen(rate=0.0):
  module = Linen(rate)
  variables = module.init(jax.random.key(0), IMAGES[:1], train=False)
  return models.from_flax(module), variables


def of_nnx(rate=0.0):
  # Outside a step no axis is mapped.
  return models.from_nnx(Nnx(rate, None if rate else "batch", nnx.Rngs(0)))


def trained(apply_fn, variables, devices, steps=3):
  objective = objectives.weighted_sum({"cross_entropy": {}})
  optimizer = optax.sgd(0.1, momentum=0.9)
  step = training.map_over_devices(
    training.make_step(apply_fn, objective, optimizer, to_float=lambda x: x), devices
  )
  state = training.replicate(training.create_state(variables, optimizer, seed=0), devices)
  data = training.replicate({"x": IMAGES, "y": LABELS}, devices)
  for i in range(steps):
    indices = training.batch_indices(
      i, examples=24, batch_size=10, devices=len(devices), seed=0, drop_short=True
    )
    state, _ = step(state, data, indices)
  return jax.tree.map(np.asarray, state.variables)


def test_evaluation_is_the_module_s_own_and_training_updates_its_statistics():
  apply_fn, variables = linen()
  logits, collections = apply_fn(variables, IMAGES)
  np.testing.assert_array_equal(logits, Linen().apply(variables, IMAGES, train=False))
  _, updated = apply_fn(variables, IMAGES, train=True)
  _, known = Linen().apply(variables, IMAGES, train=True, mutable=["batch_stats"])
  for given, expected in zip(
    jax.tree.leaves(updated["batch_stats"]), jax.tree.leaves(known["batch_stats"]), strict=True
  ):
    np.testing.assert_allclose(given, expected, rtol=1e-6)
  assert jax.tree.all(
    jax.tree.map(np.array_equal, collections, {"batch_stats": variables["batch_stats"]})
  )


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("framework", [linen, of_nnx])
def test_one_device_and_two_train_the_same_network(framework):
  apply_fn, variables = framework()
  one, two = (trained(apply_fn, variables, jax.local_devices()[:n]) for n in (1, 2))
  moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), one["params"], variables["params"])
  assert max(jax.tree.leaves(moved)) > 0.01
  for first, second in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
    if jnp.issubdtype(first.dtype, jnp.floating):
      np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize("framework", [linen, of_nnx])
def test_dropout_follows_the_key_and_is_off_in_evaluation(framework):
  apply_fn, variables = framework(0.5)
  keys = jax.random.split(jax.random.key(0), 2)
  first, again, other = (
    apply_fn(variables, IMAGES, train=True, dropout_keys=jnp.stack([key] * 24))[0]
    for key in (keys[0], keys[0], keys[1])
  )
  np.testing.assert_array_equal(first, again)
  assert not np.allclose(first, other)
  evaluated, _ = apply_fn(variables, IMAGES)
  np.testing.assert_array_equal(evaluated, apply_fn(variables, IMAGES)[0])


class WithoutAMode(nn.Module):
  def __call__(self, x):
    return jnp.full((len(x), 3), -1.0)


class Deterministic(nn.Module):
  def __call__(self, x, deterministic=True):
    return jnp.full((len(x), 3), float(deterministic))


class IsTraining(nn.Module):
  def __call__(self, x, *, is_training):
    return jnp.full((len(x), 3), float(is_training))


@pytest.mark.parametrize(
  ("module", "evaluated", "in_training"),
  [(WithoutAMode(), -1, -1), (Deterministic(), 1, 0), (IsTraining(), 0, 1)],
)
def test_the_mode_goes_by_any_of_its_usual_names(module, evaluated, in_training):
  apply_fn = models.from_flax(module)
  assert float(apply_fn({}, IMAGES)[0][0, 0]) == evaluated
  assert float(apply_fn({}, IMAGES, train=True)[0][0, 0]) == in_training


def test_a_short_batch_is_left_out_where_layers_cannot_tell_padding():
  settings = {"examples": 24, "batch_size": 10, "devices": 2, "seed": 0}
  batches = [training.batch_indices(i, **settings, drop_short=True) for i in range(4)]
  assert all((batch >= 0).all() for batch in batches)
  assert len(np.unique(np.concatenate(batches[:2]))) == 20
  with pytest.raises(ValueError, match="examples must be >= 30, got 24"):
    training.batch_indices(0, **{**settings, "batch_size": 30}, drop_short=True)


class TwoDropouts(nnx.Module):
  def __init__(self, rngs):
    self.first, self.second = (nnx.Dropout(0.5, rngs=rngs) for _ in range(2))

  def __call__(self, x):
    ones = jnp.ones((len(x), 64))
    return jnp.concatenate([self.first(ones), self.second(ones)], axis=1)


def test_layers_of_nnx_drop_each_their_own_units():
  apply_fn, variables = models.from_nnx(TwoDropouts(nnx.Rngs(0)))
  keys = jax.random.split(jax.random.key(0), 24)
  dropped, _ = apply_fn(variables, IMAGES, train=True, dropout_keys=keys)
  first, second = jnp.split(dropped, 2, axis=1)
  assert 0.4 < float((first != second).mean()) < 0.6
