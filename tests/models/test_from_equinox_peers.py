"""Equinox modules in training: against the modules themselves, on one device and two."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency import attacks, models, objectives, training

eqx = pytest.importorskip("equinox", reason="trains networks written in Equinox")

pytestmark = pytest.mark.peers

IMAGES = np.random.default_rng(0).random((24, 4, 4, 1), np.float32)
LABELS = np.arange(24) % 3


class Net(eqx.Module):
  """Batch norm and dropout, as Equinox's own examples use them."""

  conv: eqx.nn.Conv2d
  norm: eqx.nn.BatchNorm
  dropout: eqx.nn.Dropout
  dense: eqx.nn.Linear

  def __init__(self, key, rate=0.0):
    keys = jax.random.split(key)
    self.conv = eqx.nn.Conv2d(1, 4, 3, padding=1, key=keys[0])
    self.norm = eqx.nn.BatchNorm(4, axis_name=("examples", "batch"), mode="batch")
    self.dropout = eqx.nn.Dropout(rate)
    self.dense = eqx.nn.Linear(64, 3, key=keys[1])

  def __call__(self, x, state, *, key=None):
    x, state = self.norm(self.conv(x), state)
    return self.dense(self.dropout(jax.nn.relu(x).reshape(-1), key=key)), state


def of_equinox(rate=0.0):
  return models.from_equinox(*eqx.nn.make_with_state(Net)(jax.random.key(0), rate))


def trained(apply_fn, variables, devices, terms, steps=3):
  objective = objectives.weighted_sum(terms)
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


@pytest.mark.parametrize("attack", [False, True])
def test_one_device_and_two_train_the_same_network(attack):
  terms = {"cross_entropy": {}, "input_gradient_penalty": {"weight": 0.1}}
  if attack:
    terms["adversarial"] = {"attack": {"name": "pgd", "epsilon": 0.1, "steps": 2}}
  apply_fn, variables = of_equinox()
  one, two = (trained(apply_fn, variables, jax.local_devices()[:n], terms) for n in (1, 2))
  moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), one["params"], variables["params"])
  assert max(jax.tree.leaves(moved)) > 0.01
  for first, second in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
    if jnp.issubdtype(first.dtype, jnp.floating):
      np.testing.assert_allclose(first, second, atol=1e-5)


def test_evaluation_is_the_module_s_own_with_the_statistics_of_training():
  apply_fn, variables = of_equinox()
  after = trained(apply_fn, variables, jax.local_devices()[:1], {"cross_entropy": {}})
  logits, _ = apply_fn(after, IMAGES)
  model, state = eqx.nn.make_with_state(Net)(jax.random.key(0))
  model = eqx.nn.inference_mode(eqx.combine(after["params"], model))
  before = jax.vmap(lambda x: model(x, state)[0])(jnp.moveaxis(IMAGES, -1, 1))
  own = jax.vmap(lambda x: model(x, after["batch_stats"])[0])(jnp.moveaxis(IMAGES, -1, 1))
  np.testing.assert_allclose(logits, own, rtol=1e-5, atol=1e-6)
  assert not np.allclose(before, own, atol=1e-3)
  x_adv = attacks.pgd(
    jax.random.key(0), lambda x: apply_fn(after, x)[0], IMAGES, LABELS, epsilon=0.1, steps=5
  )
  assert np.abs(x_adv - IMAGES).max() > 0.09


def test_dropout_follows_the_example_s_key_and_is_off_in_evaluation():
  # Without a state: dropout alone.
  keys = jax.random.split(jax.random.key(0), 24)
  model = eqx.nn.Sequential(
    [eqx.nn.Lambda(jnp.ravel), eqx.nn.Dropout(0.5), eqx.nn.Linear(16, 3, key=keys[0])]
  )
  apply_fn, variables = models.from_equinox(model)
  first, again, other = (
    apply_fn(variables, IMAGES, train=True, dropout_keys=order)[0]
    for order in (keys, keys, keys[::-1])
  )
  np.testing.assert_array_equal(first, again)
  assert not np.allclose(first, other)
  alone, _ = apply_fn(variables, IMAGES[3:5], train=True, dropout_keys=keys[3:5])
  np.testing.assert_allclose(alone, first[3:5], rtol=1e-5)
  own = jax.vmap(eqx.nn.inference_mode(model))(jnp.moveaxis(IMAGES, -1, 1))
  np.testing.assert_allclose(apply_fn(variables, IMAGES)[0], own, rtol=1e-6)
