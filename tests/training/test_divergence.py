"""Trainings that diverge: on record, not tried again, and without harm to those beside them."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency.objectives import weighted_sum
from robust_saliency.training import (
  Member,
  batch_indices,
  begun_as_one_program,
  create_state,
  divergence,
  make_step,
  read_metrics,
  train_many,
)
from robust_saliency.training import together as module

EXAMPLES = 16
OPTIMIZER = optax.sgd(0.1)


def make_data():
  random = np.random.default_rng(0)
  return {
    "x": random.uniform(size=(EXAMPLES, 4, 4, 1)).astype(np.float32),
    "y": random.integers(0, 3, EXAMPLES).astype(np.int32),
  }


def convolutional(variables, x, **_):
  """A kernel of each network's own: under vmap a convolution in groups."""
  kernel, dense = variables["params"]
  x = jax.lax.conv_general_dilated(
    x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
  )
  return jnp.tanh(x).reshape(len(x), -1) @ dense, {}


def step(state, data, indices):
  objective = weighted_sum({"cross_entropy": {"weight": data["weight"]}})
  return make_step(convolutional, objective, OPTIMIZER, to_float=lambda x: x)(state, data, indices)


def member(seed, weight=1.0):
  random = np.random.default_rng(seed)
  params = tuple(random.normal(size=shape).astype(np.float32) for shape in ((3, 3, 1, 2), (32, 3)))

  def indices(number):
    return batch_indices(
      number, examples=EXAMPLES, batch_size=8, devices=jax.device_count(), seed=seed
    )

  state = create_state({"params": params}, OPTIMIZER, seed=seed)
  return Member(f"seed_{seed}", state, indices, {"weight": weight}, identity=[seed, weight])


HEALTHY = [member(seed) for seed in (0, 1, 2)]
ONE_BAD = [HEALTHY[0], member(1, weight=1e38), HEALTHY[2]]
SETTINGS = {"steps": 6, "log_every": 2, "checkpoint_every": 4}


def run(members, directory, *, together, step=step, **settings):
  return train_many(
    step, members, make_data(), directory=directory, together=together, **{**SETTINGS, **settings}
  )


def no_step(*_):
  raise AssertionError("a step was taken")


def assert_equal_bit_for_bit(a, b):
  for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    assert np.asarray(p).tobytes() == np.asarray(q).tobytes()


@pytest.fixture(scope="module", params=[True, False], ids=["together", "in turn"])
def trained(request, tmp_path_factory):
  """Three networks, and the same ones but that the second diverges."""
  folders = [tmp_path_factory.mktemp(name) for name in ("healthy", "one_bad")]
  states = [
    run(members, folder, together=request.param)
    for members, folder in zip((HEALTHY, ONE_BAD), folders, strict=True)
  ]
  return request.param, folders, states


@pytest.mark.quick_cases(1)
def test_a_network_that_diverges_leaves_the_others_as_they_would_have_been(trained):
  _, folders, (healthy, one_bad) = trained
  for i in (0, 2):
    assert_equal_bit_for_bit(healthy[i], one_bad[i])
    rows = [read_metrics(folder / HEALTHY[i].name) for folder in folders]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 3


def test_a_network_that_diverges_is_recorded_and_its_numbers_are_nan(trained):
  _, (_, folder), (_, (_, state, _)) = trained
  reason = divergence.recorded(folder / "seed_1", identity=[1, 1e38])
  assert reason.endswith("by step 2")
  assert "became nan" in reason or "became inf" in reason
  assert all(np.isnan(leaf).all() for leaf in jax.tree.leaves(state.params))
  [row] = read_metrics(folder / "seed_1")
  assert row.pop("step") == 2
  assert set(row) == {"accuracy", "cross_entropy", "loss"}
  assert all(map(np.isnan, row.values()))
  assert divergence.recorded(folder / "seed_1", identity=[1, 1.0]) == ""
  assert divergence.recorded(folder / "seed_0", identity=[0, 1.0]) == ""


def test_no_network_is_trained_again_when_one_has_diverged(trained):
  together, (_, folder), (_, states) = trained
  assert_equal_bit_for_bit(run(ONE_BAD, folder, together=together, step=no_step), states)


def test_a_run_with_one_that_has_diverged_goes_on_to_more_steps(trained, tmp_path):
  together, _, (healthy, _) = trained
  for steps in (4, 6):
    states = run(ONE_BAD, tmp_path, together=together, steps=steps)
  for i in (0, 2):
    assert_equal_bit_for_bit(states[i], healthy[i])
  assert np.isnan(states[1].params[0]).all()


def test_a_record_that_is_damaged_is_named_and_the_network_trained_again(tmp_path, caplog):
  bad = ONE_BAD[1:2]
  run(bad, tmp_path, together=False)
  path = tmp_path / "seed_1" / divergence.NAME
  path.write_text(path.read_text().replace("step 2", "step 3"))
  with caplog.at_level("WARNING", logger="absl"):
    run(bad, tmp_path, together=False)
  assert "diverged.json is damaged" in caplog.text
  assert "by step 2" in json.loads(path.read_text())["reason"]


def test_a_program_of_which_all_networks_diverge_ends_there(tmp_path):
  def until_the_end(one):
    return lambda number: one.indices(number) if number < 4 else pytest.fail("a step was taken")

  bad = [member(seed, weight=1e38) for seed in (0, 1)]
  members = [dataclasses.replace(one, indices=until_the_end(one)) for one in bad]
  states = run(members, tmp_path, together=True, steps=1000)
  assert all(np.isnan(state.params[0]).all() for state in states)
  assert not (tmp_path / "seed_0" / "together").exists()


class CutError(Exception):
  pass


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("last", [0, 2], ids=["before the first", "before the last"])
def test_a_kill_while_a_program_hands_out_its_networks_costs_no_step(last, tmp_path, monkeypatch):
  members = ONE_BAD
  whole = run(members, tmp_path / "whole", together=True)
  hand_out = module._hand_out

  def cut(member, i, *args):
    if i == last:
      raise CutError
    return hand_out(member, i, *args)

  monkeypatch.setattr(module, "_hand_out", cut)
  with pytest.raises(CutError):
    run(members, tmp_path / "cut", together=True)
  monkeypatch.setattr(module, "_hand_out", hand_out)
  identities = {one.name: one.identity for one in reversed(members)}
  assert begun_as_one_program(tmp_path / "cut", identities) == ["seed_0", "seed_1", "seed_2"]
  assert begun_as_one_program(tmp_path / "cut", {**identities, "seed_0": "another"}) == []
  assert_equal_bit_for_bit(run(members, tmp_path / "cut", together=True, step=no_step), whole)
  assert begun_as_one_program(tmp_path / "cut", identities) == []
  for one in members:
    rows = [read_metrics(tmp_path / name / one.name) for name in ("whole", "cut")]
    assert str(rows[0]) == str(rows[1])
