import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency import models
from robust_saliency.objectives import TERMS, weighted_sum
from robust_saliency.training import (
  batch_indices,
  create_state,
  make_step,
  map_over_devices,
  replicate,
)
from robust_saliency.training.step import AXIS

# Of the 12 examples of a step eight devices hold two each and two none; the last batch of an epoch
# has 10, and three devices without any.
EXAMPLES, BATCH_SIZE, CLASSES, SHAPE = 34, 12, 3, (4, 4, 1)

PGD = {"name": "pgd", "epsilon": 0.1, "step_size": 0.05, "steps": 2, "keep": "last"}
ATTACK = {**PGD, "unroll": False}

OBJECTIVES = {
  "cross_entropy": {"cross_entropy": {}},
  "adversarial, attack in evaluation mode": {
    "adversarial": {"attack": ATTACK, "attack_mode": "evaluation"}
  },
  "adversarial, attack in training mode": {
    "adversarial": {"attack": ATTACK, "attack_mode": "training", "attack_labels": "predicted"}
  },
  "input gradients, per example": {
    "cross_entropy": {},
    "input_gradient_penalty": {"weight": 0.02, "scaling": "per_example"},
  },
  "input gradients, batch mean": {
    "cross_entropy": {},
    "input_gradient_penalty": {"weight": 0.2, "scaling": "batch_mean"},
  },
  "certainty, per example": {
    "cross_entropy": {},
    "certainty_penalty": {"weight": 0.02, "scaling": "per_example"},
  },
  "certainty, batch mean": {
    "cross_entropy": {},
    "certainty_penalty": {"weight": 0.2, "scaling": "batch_mean"},
  },
  "distillation": {"distillation": {"temperature": 5.0}},
  "every term of cross-entropies": {
    "cross_entropy": {"weight": 0.5},
    "adversarial": {"weight": 0.5, "attack": {**ATTACK, "steps": 1}},
    "distillation": {"weight": 0.5, "temperature": 5.0},
    "input_gradient_penalty": {"weight": 0.02},
    "certainty_penalty": {"weight": 0.2, "scaling": "batch_mean"},
    "distilled_label_penalty": {"weight": 0.02, "penalty_mode": "evaluation"},
    "entropy_penalty": {"weight": 0.02},
  },
  "every term of outputs": {
    "cross_entropy": {},
    "class_mean_alignment": {"weight": 0.02},
    "cross_lipschitz_penalty": {"weight": 0.02},
    "interpretation_direction": {"weight": 0.02, "threshold": 0.5},
    "interpretation_distance": {"weight": 0.02},
    "interpretation_magnitude": {"weight": 0.05},
    "jacobian_penalty": {"weight": 0.02, "scaling": "batch_root"},
    "perceptual_alignment": {"weight": 0.02},
    "projected_jacobian_penalty": {"weight": 0.02},
    "trades": {"weight": 0.5, "attack": {**ATTACK, "steps": 1, "start_deviation": 0.02}},
  },
  "both": {
    "cross_entropy": {"weight": 0.5},
    "input_gradient_penalty": {"weight": 0.02},
    "adversarial": {"weight": 0.5, "attack": ATTACK},
  },
}


class SmallNetwork(nn.Module):
  """Everything in which examples or devices could get mixed up, in little."""

  axis_name: str | None = None

  @nn.compact
  def __call__(self, x, train=False, mask=None, dropout_keys=None):
    x = nn.Conv(4, (3, 3), use_bias=False, conv_general_dilated=models.loop_safe_conv)(x)
    x = nn.relu(models.BatchNorm(self.axis_name)(x, train=train, mask=mask))
    x = nn.relu(nn.Dense(8)(models.first_max_pool(x).reshape(len(x), -1)))
    x = models.Dropout(0.3)(x, train=train, keys=dropout_keys)
    return nn.Dense(CLASSES)(x)


def make_data():
  random = np.random.default_rng(0)
  targets = random.uniform(size=(EXAMPLES, CLASSES)).astype(np.float32)
  return {
    "x": random.integers(0, 256, (EXAMPLES, *SHAPE)).astype(np.uint8),
    "y": random.integers(0, CLASSES, EXAMPLES).astype(np.int32),
    "soft_targets": targets / targets.sum(axis=1, keepdims=True),
    "maps": random.normal(size=(EXAMPLES, *SHAPE)).astype(np.float32),
    "class_maps": random.normal(size=(EXAMPLES, *SHAPE, CLASSES)).astype(np.float32),
  }


def to_float(x):
  return x.astype(jnp.float32) / 255


def train_twenty_steps(module, objective, devices, learning_rate=5e-3):
  """The first variables, the last ones, and each step's metrics."""
  optimizer = optax.sgd(learning_rate, momentum=0.9)
  first = models.init(module, jax.random.key(0), SHAPE)
  step = map_over_devices(
    make_step(models.apply_fn(module), weighted_sum(objective), optimizer, to_float=to_float),
    devices,
  )
  state = replicate(create_state(first, optimizer, seed=0), devices)
  data, rows = replicate(make_data(), devices), []
  for number in range(20):
    indices = batch_indices(
      number, examples=EXAMPLES, batch_size=BATCH_SIZE, devices=len(devices), seed=0
    )
    state, metrics = step(state, data, indices)
    rows.append(jax.tree.map(float, metrics))
  assert int(state.step) == 20
  return first, jax.tree.map(np.asarray, state.variables), rows


def largest_difference(a, b):
  return max(jax.tree.leaves(jax.tree.map(lambda p, q: float(np.abs(p - q).max()), a, b)))


@pytest.fixture(autouse=True)
def _quick_compilation():
  # Half the time; the programs that are compared stay the same programs.
  jax.config.update("jax_disable_most_optimizations", True)
  yield
  jax.config.update("jax_disable_most_optimizations", False)


def assert_devices_do_not_matter(module, objective, *, tolerance, **settings):
  one, eight = jax.devices()[:1], jax.devices()
  first, on_one, metrics_on_one = train_twenty_steps(module, objective, one, **settings)
  _, on_eight, metrics_on_eight = train_twenty_steps(module, objective, eight, **settings)
  assert largest_difference(first["params"], on_one["params"]) > 1000 * tolerance
  assert largest_difference(on_one, on_eight) < tolerance
  for a, b in zip(metrics_on_one, metrics_on_eight, strict=True):
    assert a == pytest.approx(b, rel=1e-5, abs=1e-5)


# One of each kind; the others take their minute with the slow tests, and those of class gradients
# their second in tests/objectives/test_class_gradients.py.
IN_EVERY_RUN = ("every term of cross-entropies",)


def test_every_term_is_among_those_that_are_trained_on_one_and_eight_devices():
  trained = {*OBJECTIVES["every term of cross-entropies"], *OBJECTIVES["every term of outputs"]}
  assert trained == set(TERMS)


@pytest.mark.parametrize(
  "name",
  [pytest.param(n, marks=[pytest.mark.slow] * (n not in IN_EVERY_RUN)) for n in OBJECTIVES],
)
def test_eight_devices_train_what_one_trains_with_batch_norm_and_dropout(name):
  assert_devices_do_not_matter(SmallNetwork(AXIS), OBJECTIVES[name], tolerance=1e-6)


@pytest.mark.slow
def test_eight_devices_train_what_one_trains_on_ross_s_network():
  ross = models.build("ross", num_classes=CLASSES, axis_name=AXIS)
  # A smaller step, since noise in the last digit grows in a network of this size.
  assert_devices_do_not_matter(
    ross, OBJECTIVES["cross_entropy"], tolerance=1e-5, learning_rate=5e-4
  )


def linear(variables, x, **_):
  return x.reshape(len(x), -1) @ variables["params"], {}


@pytest.mark.parametrize("devices", [1, 8])
def test_a_step_descends_along_the_mean_gradient_of_the_examples_that_are_there(devices):
  data = make_data()
  weights = np.random.default_rng(1).normal(size=(16, CLASSES))
  optimizer = optax.sgd(1.0)
  step = map_over_devices(
    make_step(linear, weighted_sum({"cross_entropy": {}}), optimizer, to_float=to_float),
    jax.devices()[:devices],
  )
  indices = batch_indices(2, examples=28, batch_size=BATCH_SIZE, devices=devices, seed=0)
  state = create_state({"params": jnp.asarray(weights, jnp.float32)}, optimizer, seed=0)
  state, metrics = step(state, data, indices)

  # Softmax regression's gradient in closed form, over the short batch's four examples.
  chosen = indices[indices >= 0]
  assert len(chosen) == 4
  x, y = data["x"][chosen].reshape(4, -1) / 255, np.eye(CLASSES)[data["y"][chosen]]
  exponentials = np.exp(x @ weights)
  p = exponentials / exponentials.sum(axis=1, keepdims=True)
  np.testing.assert_allclose(state.params, weights - x.T @ (p - y) / 4, rtol=1e-5, atol=1e-6)
  loss = -np.mean(np.sum(y * np.log(p), axis=1))
  accuracy = np.mean(p.argmax(axis=1) == data["y"][chosen])
  assert jax.tree.map(float, metrics) == pytest.approx(
    {"loss": loss, "cross_entropy": loss, "accuracy": accuracy}, rel=1e-5
  )


def test_state_leaves_the_step_whole_and_as_it_came():
  optimizer = optax.adam(1e-3)
  state = create_state({"params": jnp.ones((16, CLASSES))}, optimizer, seed=0)
  shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state)
  step = map_over_devices(
    make_step(linear, weighted_sum({"cross_entropy": {}}), optimizer, to_float=to_float)
  )
  indices = batch_indices(0, examples=EXAMPLES, batch_size=16, devices=8, seed=0)
  state, _ = step(replicate(state), replicate(make_data()), indices)
  assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), state) == shapes


def test_randomness_follows_the_example_and_the_step():
  def noise(keys, apply_fn, variables, batch):
    del apply_fn
    draws = jax.vmap(jax.random.uniform)(keys)
    loss_sum = weighted_sum({"cross_entropy": {}})(keys, linear, variables, batch)
    of_class = [draws * batch.mask * (batch.y == label) for label in (0, 1)]
    return loss_sum._replace(
      metrics={f"draw {i}": (jnp.sum(of_class[i]), loss_sum.weight) for i in (0, 1)}
    )

  optimizer = optax.sgd(0.0)
  step = map_over_devices(make_step(linear, noise, optimizer, to_float=to_float))
  data = {"x": make_data()["x"][:2], "y": np.array([0, 1], np.int32)}

  def draws_of(place, steps, seed=0):
    indices = np.full((8, 1), -1, np.int32)
    indices[list(place), 0] = [0, 1]
    state = create_state({"params": jnp.ones((16, CLASSES))}, optimizer, seed=seed)
    for _ in range(steps):
      state, metrics = step(state, data, indices)
    return jax.tree.map(float, metrics)

  here = draws_of((0, 1), 1)
  assert here == draws_of((5, 2), 1)
  assert len({*here.values(), *draws_of((0, 1), 2).values(), *draws_of((0, 1), 1, 1).values()}) == 6


def slow(state, data, indices):
  """Some milliseconds of work."""
  state = jax.lax.fori_loop(0, 20, lambda _, a: jnp.tanh(a @ a), state)
  return jax.lax.pmean(state, "batch"), {"sum": jax.lax.pmean(jnp.sum(state), "batch")}


@pytest.mark.parametrize("measured", [True, False])
def test_a_loop_that_never_waits_has_two_steps_unfinished_at_most(measured):
  def one(state, data, indices):
    state, metrics = slow(state, data, indices)
    return state, metrics if measured else {}

  step = map_over_devices(one)
  data, indices = replicate(np.zeros(1)), np.zeros((8, 1), np.int32)
  state, results = jnp.eye(200), []
  for _ in range(20):
    state, metrics = step(state, data, indices)
    results.append(jax.tree.leaves(metrics) or [state])
    unfinished = [a for leaves in results[-10:] for a in leaves if not a.is_deleted()]
    assert sum(not a.is_ready() for a in unfinished) <= 2


IN_A_LOOP = """
import jax, jax.numpy as jnp, numpy as np
from robust_saliency.training import map_over_devices, replicate

def small(state, data, indices):
  return jax.lax.pmean(state + 1, "batch"), {"sum": jax.lax.pmean(jnp.sum(state), "batch")}

step = map_over_devices(small)
state, data, indices = replicate(jnp.zeros(4)), replicate(np.zeros(1)), np.zeros((8, 1), np.int32)
for _ in range(300):
  state, metrics = step(state, data, indices)
print(float(state[0]))
"""


@pytest.mark.slow
def test_a_user_s_own_loop_of_many_small_steps_comes_to_its_end():
  # In a process of its own, since XLA would end it.
  done = subprocess.run(
    [sys.executable, "-c", IN_A_LOOP], capture_output=True, text=True, timeout=300, check=False
  )
  assert done.stdout.split() == ["300.0"], done.stderr[-1000:]
