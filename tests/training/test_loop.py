import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency.objectives import weighted_sum
from robust_saliency.training import (
  DivergedError,
  StoppedError,
  batch_indices,
  create_state,
  interruption,
  make_step,
  map_over_devices,
  read_metrics,
  train,
)
from robust_saliency.training import checkpoints as checkpoints_of

EXAMPLES, BATCH_SIZE = 20, 12
OPTIMIZER = optax.adam(0.05)


def make_data():
  random = np.random.default_rng(0)
  return {
    "x": random.uniform(size=(EXAMPLES, 2, 2, 1)).astype(np.float32),
    "y": random.integers(0, 3, EXAMPLES).astype(np.int32),
  }


def with_noise(variables, x, *, train, dropout_keys=None, **_):
  """A linear network whose pixels are noisy in training: every key counts."""
  x = x.reshape(len(x), -1)
  if train:
    x += 0.1 * jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(dropout_keys)
  return x @ variables["params"], {"batch_stats": {"seen": variables["batch_stats"]["seen"] + 1}}


ATTACK = {"name": "pgd", "epsilon": 0.1, "steps": 1}


@pytest.fixture(scope="module")
def step():
  objective = weighted_sum({"cross_entropy": {}, "adversarial": {"attack": ATTACK}})
  return map_over_devices(make_step(with_noise, objective, OPTIMIZER, to_float=lambda x: x))


def first_state():
  variables = {"params": jnp.zeros((4, 3)), "batch_stats": {"seen": jnp.zeros(())}}
  return create_state(variables, OPTIMIZER, seed=0)


def indices(step):
  return batch_indices(
    step, examples=EXAMPLES, batch_size=BATCH_SIZE, devices=jax.device_count(), seed=0
  )


def run(step, directory, steps, *, state=None, indices=indices, **settings):
  settings = {"log_every": 4, "checkpoint_every": 5, **settings}
  state = first_state() if state is None else state
  return train(
    step, state, make_data(), steps=steps, indices=indices, directory=directory, **settings
  )


class CutError(Exception):
  pass


def cut_at(last):
  """Indices that end the run in the middle, as a kill would."""

  def of(step):
    if step == last:
      raise CutError
    return indices(step)

  return of


def assert_equal_bit_for_bit(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    assert np.asarray(p).tobytes() == np.asarray(q).tobytes()


@pytest.fixture(scope="module")
def whole(step, tmp_path_factory):
  """A run of 20 steps that nothing has interrupted: its last state, and its rows."""
  directory = tmp_path_factory.mktemp("whole")
  return run(step, directory, 20), read_metrics(directory)


def test_ten_steps_and_ten_more_equal_twenty_bit_for_bit(step, whole, tmp_path):
  run(step, tmp_path, 10)
  state = run(step, tmp_path, 20)
  assert int(state.step) == int(state.collections["batch_stats"]["seen"]) // 2 == 20
  assert_equal_bit_for_bit(state, whole[0])


@pytest.mark.parametrize("last", [3, 7, 13])
def test_a_run_that_was_cut_off_equals_one_that_was_not(last, step, whole, tmp_path):
  with pytest.raises(CutError):
    run(step, tmp_path, 20, indices=cut_at(last))
  assert_equal_bit_for_bit(run(step, tmp_path, 20), whole[0])
  assert read_metrics(tmp_path) == whole[1]
  assert [row["step"] for row in whole[1]] == [4, 5, 8, 10, 12, 15, 16, 20]


def test_a_run_whose_last_checkpoint_is_damaged_goes_on_from_the_one_before(
  step, whole, tmp_path, caplog
):
  with pytest.raises(CutError):
    run(step, tmp_path, 20, indices=cut_at(13))
  path = tmp_path / "checkpoints" / "step_000000010"
  largest = max((p for p in path.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
  largest.write_bytes(largest.read_bytes()[:-1])
  with caplog.at_level("WARNING", logger="absl"):
    state = run(step, tmp_path, 20)
  assert "step_000000010" in caplog.text
  assert_equal_bit_for_bit(state, whole[0])
  assert read_metrics(tmp_path) == whole[1]


def test_a_finished_run_is_not_run_again(whole, step, tmp_path):
  def no_step(*_):
    raise AssertionError("a step was taken")

  run(step, tmp_path, 20)
  assert_equal_bit_for_bit(run(no_step, tmp_path, 20), whole[0])


def test_fewer_steps_than_were_taken_are_refused(step, tmp_path):
  run(step, tmp_path, 5)
  with pytest.raises(ValueError, match=r"steps must be >= 5, which .* has taken already, got 4"):
    run(step, tmp_path, 4)


def test_the_state_that_is_handed_in_stays_the_callers(step, tmp_path):
  state = first_state()
  results = [run(step, tmp_path / name, 2, state=state) for name in ("a", "b")]
  assert_equal_bit_for_bit(*results)
  assert float(jnp.abs(state.params).max()) == 0


def test_rows_are_means_over_the_steps_since_the_last_row(tmp_path):
  def count(state, data, indices):
    return state + 1, {"number": jax.lax.pmean(state, "batch")}

  run(map_over_devices(count), tmp_path, 10, state=jnp.zeros(()), log_every=4, checkpoint_every=100)
  assert read_metrics(tmp_path) == [
    {"step": 4, "number": np.mean([0, 1, 2, 3])},
    {"step": 8, "number": np.mean([4, 5, 6, 7])},
    {"step": 10, "number": np.mean([8, 9])},
  ]


def test_a_row_of_many_networks_is_read_at_once_and_its_means_are_those_of_one_alone(
  tmp_path, monkeypatch
):
  steps, names = 37, ["a", "b/c", "d"]
  numbers = np.random.default_rng(0).normal(size=(steps, len(names))).astype(np.float32)

  def measure(state, data, indices):
    measured = jax.lax.pmax(jnp.asarray(numbers)[state], "batch")
    return state + 1, {"loss": measured, "twice": 2 * measured}

  reads, device_get = [], jax.device_get
  monkeypatch.setattr(jax, "device_get", lambda tree: reads.append(tree) or device_get(tree))
  state = jnp.zeros((), jnp.int32)
  run(
    map_over_devices(measure), tmp_path, steps, state=state, members=names,
    log_every=20, checkpoint_every=100,
  )  # fmt: skip
  rows = read_metrics(tmp_path)
  for row, part in zip(rows, (numbers[:20], numbers[20:]), strict=True):
    for i, name in enumerate(names):
      assert row[f"{name}/loss"] == np.mean([float(value) for value in part[:, i]])
      assert row[f"{name}/twice"] == np.mean([float(2 * value) for value in part[:, i]])
  assert len([tree for tree in reads if tree]) == len(rows)


def test_no_more_checkpoints_stay_than_asked_for(step, tmp_path):
  run(step, tmp_path, 20, keep=3)
  assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir() if p.is_dir()) == [
    "step_000000010",
    "step_000000015",
    "step_000000020",
  ]


def diverging(metric_at, state_at):
  """A step whose metric or state breaks when it is taken with these numbers."""

  def step(state, data, indices):
    del data
    number = jax.lax.pmean(state["number"], "batch")
    loss = jnp.where(number == metric_at, jnp.inf, 1.0)
    w = jnp.where(number == state_at, jnp.nan, state["w"])
    return {"number": number + 1, "w": w}, {"fine": number, "loss": loss}

  return map_over_devices(step)


@pytest.mark.parametrize(
  ("metric_at", "state_at", "sentence"),
  [
    (8, -1, "digits: loss became inf by step 10; the last checkpoint before it is kept"),
    (-1, 8, r"digits: state\['w'\] became NaN by step 10; the last checkpoint before"),
    (9, 9, "digits: loss became inf by step 10"),
  ],
)
def test_divergence_names_what_diverged_and_keeps_the_last_good_checkpoint(
  metric_at, state_at, sentence, tmp_path
):
  state = {"number": jnp.zeros(()), "w": jnp.ones(3)}
  with pytest.raises(DivergedError, match=sentence):
    run(diverging(metric_at, state_at), tmp_path, 20, state=state, log_every=10, label="digits")
  done, kept, _ = checkpoints_of.restore(tmp_path / "checkpoints", state)
  assert done == kept["number"] == 5
  assert kept["w"].tolist() == [1, 1, 1]
  # What was measured up to there can be looked at.
  assert read_metrics(tmp_path)[0] == {"step": 5, "fine": 2.0, "loss": 1.0}


def test_a_state_of_another_kind_trains_in_the_same_loop(tmp_path):
  """Two players with an optimiser each, one of them with inner steps: f(a, b) = a b - b^2 / 4."""
  descend, ascend = optax.sgd(0.1), optax.adam(0.1)

  def value(a, b, noise):
    return jax.lax.pmean(jnp.mean(a * b - b**2 / 4 + 0 * noise), "batch")

  def step(state, data, indices):
    noise = data["x"][indices]
    b, ascend_state = state["b"], state["ascend"]
    for _ in range(3):
      updates, ascend_state = ascend.update(
        -jax.lax.pmean(jax.grad(value, 1)(state["a"], b, noise), "batch"), ascend_state
      )
      b = optax.apply_updates(b, updates)
    slope = jax.lax.pmean(jax.grad(value)(state["a"], b, noise), "batch")
    updates, descend_state = descend.update(slope, state["descend"])
    a = optax.apply_updates(state["a"], updates)
    new_state = {"a": a, "b": b, "ascend": ascend_state, "descend": descend_state}
    return new_state, {"value": value(a, b, noise)}

  a, b = jnp.array(1.0), jnp.array(0.5)
  state = {"a": a, "b": b, "ascend": ascend.init(b), "descend": descend.init(a)}
  mapped = map_over_devices(step)
  whole = run(mapped, tmp_path / "whole", 20, state=state)

  # The same game, played on the host.
  expected = jax.tree.map(np.asarray, state)
  for _ in range(20):
    for _ in range(3):
      updates, expected["ascend"] = ascend.update(
        -(expected["a"] - expected["b"] / 2), expected["ascend"]
      )
      expected["b"] = optax.apply_updates(expected["b"], updates)
    updates, expected["descend"] = descend.update(expected["b"], expected["descend"])
    expected["a"] = optax.apply_updates(expected["a"], updates)
  for name in ("a", "b"):
    np.testing.assert_allclose(whole[name], expected[name], rtol=1e-4, atol=1e-5)

  with pytest.raises(CutError):
    run(mapped, tmp_path / "cut", 20, state=state, indices=cut_at(12))
  assert_equal_bit_for_bit(run(mapped, tmp_path / "cut", 20, state=state), whole)


@pytest.mark.parametrize(
  ("setting", "sentence"),
  [
    ({"steps": -1}, "steps must be >= 0, got -1"),
    ({"steps": 1, "log_every": 0}, "log_every must be >= 1, got 0"),
    ({"steps": 1, "checkpoint_every": 0}, "checkpoint_every must be >= 1, got 0"),
    ({"steps": 1, "keep": 0}, "keep must be >= 1, got 0"),
  ],
)
def test_numbers_that_make_no_run_are_refused(setting, sentence, step, tmp_path):
  with pytest.raises(ValueError, match=sentence):
    run(step, tmp_path, **setting)


def test_a_signal_saves_the_step_and_the_run_goes_on_from_it(step, whole, tmp_path):
  def ask_at(last):
    def of(number):
      if number == last:
        os.kill(os.getpid(), signal.SIGTERM)
      return indices(number)

    return of

  for last in (2, 6, 13):
    stopped = pytest.raises(StoppedError, match=f"training is saved at step {last + 1} of 20")
    with stopped, interruption.stopping_on_signals():
      run(step, tmp_path, 20, indices=ask_at(last))
  assert_equal_bit_for_bit(run(step, tmp_path, 20), whole[0])
  assert read_metrics(tmp_path) == whole[1]


def test_metrics_that_are_damaged_come_back_from_the_checkpoint(step, whole, tmp_path):
  run(step, tmp_path, 20)
  (tmp_path / "metrics.csv").write_text("step,loss\n20,0.0\n")
  assert read_metrics(tmp_path) == []
  run(step, tmp_path, 20)
  assert read_metrics(tmp_path) == whole[1]
