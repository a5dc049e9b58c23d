import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency import models
from robust_saliency.objectives import weighted_sum
from robust_saliency.training import (
  DivergedError,
  Member,
  StoppedError,
  batch_indices,
  create_state,
  interruption,
  make_step,
  map_over_devices,
  read_metrics,
  train,
  train_many,
)
from robust_saliency.training.calls import calls
from robust_saliency.training.early_stopping import Selection
from robust_saliency.training.probe import Probe
from robust_saliency.training.step import AXIS

EXAMPLES, PER_CALL = 20, 6
FIELDS = {"name": "mlp", "hidden": (8,), "num_classes": 3}
OPTIMIZER = optax.adam(0.01)
# Double backpropagation, keys, and a short last batch.
OBJECTIVE = {"cross_entropy": {}, "input_gradient_penalty": {"weight": 0.1}}


def data():
  random = np.random.default_rng(0)
  return {
    "x": random.uniform(size=(EXAMPLES, 3, 3, 1)).astype(np.float32),
    "y": random.integers(0, 3, EXAMPLES).astype(np.int32),
  }


def step_of_one():
  apply_fn = models.apply_fn(models.build(**FIELDS, axis_name=AXIS))
  return make_step(apply_fn, weighted_sum(OBJECTIVE), OPTIMIZER, to_float=lambda x: x)


def first_state(seed=0):
  variables = models.init(models.build(**FIELDS), jax.random.key(seed), (3, 3, 1))
  return create_state(variables, OPTIMIZER, seed=seed)


def indices(step, seed=0):
  return batch_indices(
    step, examples=EXAMPLES, batch_size=12, devices=jax.device_count(), seed=seed
  )


@pytest.fixture(scope="module")
def mapped():
  return {n: map_over_devices(step_of_one(), steps_per_call=n) for n in (1, PER_CALL)}


def run(mapped, directory, steps, per_call=PER_CALL, *, indices=indices, **settings):
  return train(
    mapped[per_call], first_state(), data(), steps=steps, indices=indices, directory=directory,
    steps_per_call=per_call, **{"log_every": 4, "checkpoint_every": 10, **settings},
  )  # fmt: skip


def assert_equal(a, b, **tolerance):
  for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    if tolerance:
      np.testing.assert_allclose(p, q, **tolerance)
    else:
      assert np.asarray(p).tobytes() == np.asarray(q).tobytes()


def test_one_call_of_several_steps_equals_as_many_single_ones_to_1e_5(mapped, tmp_path):
  single = run(mapped, tmp_path / "single", PER_CALL, 1)
  several = run(mapped, tmp_path / "several", PER_CALL)
  assert int(several.step) == PER_CALL
  assert_equal(single, several, rtol=1e-5, atol=1e-5)
  rows = [read_metrics(tmp_path / name) for name in ("single", "several")]
  assert [row["step"] for row in rows[1]] == [4, 6]
  for one, other in zip(*rows, strict=True):
    assert one == pytest.approx(other, rel=1e-5)


def test_what_is_due_between_calls_is_due_at_the_steps_of_single_ones(mapped, tmp_path):
  seen = {1: [], PER_CALL: []}
  for per_call, steps in seen.items():
    probe = Probe(lambda state, steps=steps: steps.append(int(state.step)) or {"probed": 1.0}, 7)
    run(mapped, tmp_path / str(per_call), 23, per_call, probe=probe)
  assert seen[1] == seen[PER_CALL] == [7, 14, 21, 23]
  of_single, of_several = (read_metrics(tmp_path / str(per_call)) for per_call in seen)
  assert [row["step"] for row in of_several] == [4, 7, 8, 10, 12, 14, 16, 20, 21, 23]
  for one, other in zip(of_single, of_several, strict=True):
    assert one == pytest.approx(other, rel=1e-4)


def test_a_run_killed_between_checkpoints_resumes_to_the_bit_at_the_same_steps_per_call(
  mapped, tmp_path
):
  whole = run(mapped, tmp_path / "whole", 23)

  class CutError(Exception):
    pass

  def cut(step):
    if step == 17:
      raise CutError
    return indices(step)

  with pytest.raises(CutError):
    run(mapped, tmp_path / "cut", 23, indices=cut)
  assert_equal(run(mapped, tmp_path / "cut", 23), whole)
  assert read_metrics(tmp_path / "cut") == read_metrics(tmp_path / "whole")


def test_a_signal_within_a_call_saves_its_last_step_and_the_run_resumes_to_the_bit(
  mapped, tmp_path
):
  whole = run(mapped, tmp_path / "whole", 23)

  def ask(step):
    if step == 13:
      os.kill(os.getpid(), signal.SIGTERM)
    return indices(step)

  stopped = pytest.raises(StoppedError, match="training is saved at step 18 of 23")
  with interruption.stopping_on_signals(), stopped:
    run(mapped, tmp_path / "asked", 23, indices=ask)
  # Step 16 ends a row, and two steps of the next one are noted.
  assert_equal(run(mapped, tmp_path / "asked", 23), whole)
  assert read_metrics(tmp_path / "asked") == read_metrics(tmp_path / "whole")


def test_a_metric_that_breaks_within_a_call_is_named_with_the_step_of_its_row(tmp_path):
  def breaking(state, data, indices):
    number = jax.lax.pmean(state, AXIS)
    return number + 1, {"loss": jnp.where(number == 2, jnp.nan, number)}

  with pytest.raises(DivergedError, match="loss became nan by step 4"):
    train(
      map_over_devices(breaking, steps_per_call=PER_CALL), jnp.zeros(()), data(), steps=12,
      indices=indices, directory=tmp_path, steps_per_call=PER_CALL, log_every=2,
    )  # fmt: skip
  assert [row["step"] for row in read_metrics(tmp_path)] == [2, 4]


@pytest.mark.slow  # compiles three programs
def test_networks_of_one_program_take_several_steps_per_call_too(tmp_path):
  members = [
    Member(f"seed_{seed}", first_state(seed), lambda step, seed=seed: indices(step, seed))
    for seed in (0, 1)
  ]
  found = {
    (together, per_call): train_many(
      step_of_one(), members, data(), steps=8, directory=tmp_path / f"{together} {per_call}",
      together=together, steps_per_call=per_call, log_every=3,
    )
    for together, per_call in ((True, 4), (True, 1), (False, 4))
  }  # fmt: skip
  assert_equal(found[True, 4], found[True, 1], rtol=1e-5, atol=1e-5)
  assert_equal(found[True, 4], found[False, 4], rtol=1e-5, atol=1e-5)
  rows = read_metrics(tmp_path / "True 4" / "seed_1")
  assert [row["step"] for row in rows] == [3, 6, 8]
  assert [row["loss"] for row in rows] == pytest.approx(
    [row["loss"] for row in read_metrics(tmp_path / "False 4" / "seed_1")], rel=1e-5
  )


@pytest.mark.parametrize("per_call", [1, 2, 3, 5, 7, 50])
def test_calls_cover_each_step_once_and_end_wherever_a_state_is_needed(per_call):
  settings = {
    "steps_per_call": per_call,
    "log_every": 4,
    "checkpoint_every": 9,
    "selection": Selection(lambda state: 0.0, every=10, first=10, patience=None),
    "probe": Probe(lambda state: {}, 15),
  }
  of_all = list(calls(0, 31, **settings))
  taken = [step for one in of_all for step in range(one.first, one.last)]
  assert taken == list(range(31))
  assert max(one.last - one.first for one in of_all) <= per_call
  assert [one.last for one in of_all if one.probe_due] == [15, 30, 31]
  assert {9, 18, 27, 31} <= {one.last for one in of_all if one.checkpoint_due}
  rows = sorted({*range(4, 32, 4), 9, 10, 15, 18, 20, 27, 30, 31})
  assert [row for one in of_all for row in one.rows] == rows
  for one in of_all:  # wherever it begins again
    assert list(calls(one.last, 31, **settings)) == of_all[of_all.index(one) + 1 :]
