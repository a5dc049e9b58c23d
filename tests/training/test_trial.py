import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import training
from robust_saliency.training import Member, many, one_program_is_faster, train_many
from robust_saliency.training.step import AXIS

DATA = {"x": np.zeros((4, 1), np.float32)}


def add_own(state, data, indices):
  """Adds the network's own number, and counts the examples of all devices."""
  seen = jax.lax.psum(jnp.sum(indices >= 0), AXIS)
  return state + data["number"], {"seen": seen}


def members(count):
  indices = np.zeros((jax.device_count(), 2), np.int32)
  return [
    Member(f"seed_{i}", jnp.zeros(()), lambda step: indices, {"number": np.float32(i)})
    for i in range(count)
  ]


def clock(*seconds):
  """Readings between which these seconds pass, one after the other."""
  readings = iter([reading for one in seconds for reading in (0.0, one)])
  return lambda: next(readings)


@pytest.mark.parametrize("steps_per_call", [1, 8])
@pytest.mark.parametrize(("alone", "together", "faster"), [(1, 2.9, True), (1, 3.1, False)])
def test_three_networks_are_one_program_where_it_takes_less_than_three_times_one(
  steps_per_call, alone, together, faster
):
  time = clock(alone, together)
  assert (
    one_program_is_faster(add_own, members(3), DATA, steps_per_call=steps_per_call, clock=time)
    == faster
  )


@pytest.mark.parametrize("faster", [True, False])
def test_where_it_is_not_told_training_follows_the_trial_and_a_resumed_one_what_it_began(
  faster, tmp_path, monkeypatch
):
  tried = []
  monkeypatch.setattr(many, "tries_one_program_by_default", lambda: True)
  monkeypatch.setattr(
    many, "one_program_is_faster", lambda *given, **settings: tried.append(given) or faster
  )
  one_program, train_together = [], many.train_together

  def noted(*given, **settings):
    one_program.append(settings["steps"])
    return train_together(*given, **settings)

  monkeypatch.setattr(many, "train_together", noted)
  for steps in (3, 3, 6):
    states = train_many(add_own, members(3), DATA, steps=steps, directory=tmp_path)
    assert np.array(states).tolist() == [0, steps, 2 * steps]
  assert len(tried) == 1
  assert bool(one_program) == faster


def test_on_cpu_nothing_is_tried(tmp_path, monkeypatch):
  monkeypatch.setattr(many, "one_program_is_faster", None)
  assert not training.tries_one_program_by_default()
  train_many(add_own, members(2), DATA, steps=1, directory=tmp_path)
