"""Whether many networks train sooner as one program or one after the other: tried, not guessed."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from absl import logging

from robust_saliency.training.step import Data, Step, map_over_devices, replicate
from robust_saliency.training.together import Member, step_of_all

# Enough for a clock, and nothing beside a training.
STEPS = 20


def one_program_is_faster(
  step: Step,
  members: Sequence[Member],
  data: Data,
  *,
  steps_per_call: int,
  clock: Callable[[], float] = time.monotonic,
) -> bool:
  """Whether one program takes some steps of all networks sooner than one after the other would.

  `jax.vmap` saves dispatches, and turns convolutions into grouped ones, which an accelerator may
  be slow at: which of the two counts more depends on the network, the batch and the machine. Both
  programs are compiled for it, and found again in JAX's compilation cache where there is one.

  Args:
    step: one step of one network, as `train_many` takes it.
    members: the networks.
    data: what they all train on.
    steps_per_call: how many steps a call takes; whole calls are timed, of 20 steps at least.
    clock: gives seconds.
  """
  own = jax.tree.map(lambda *values: np.stack(values), *[dict(one.own) for one in members])
  calls = math.ceil(STEPS / steps_per_call)

  def seconds(step: Step, state: Any, data: Data, indices: np.ndarray) -> float:
    mapped: Any = map_over_devices(step, steps_per_call=steps_per_call)
    state, data = replicate(state), replicate(data)
    state, _ = mapped(state, data, indices)  # compiles
    jax.block_until_ready(state)
    began = clock()
    for _ in range(calls):
      state, _ = mapped(state, data, indices)
    jax.block_until_ready(state)
    return clock() - began

  def of_call(indices: Callable[[int], np.ndarray]) -> np.ndarray:
    if steps_per_call == 1:
      return indices(0)
    return np.stack([indices(number) for number in range(steps_per_call)], axis=1)

  first = members[0]
  alone = seconds(step, first.state, {**data, **first.own}, of_call(first.indices))
  states = jax.tree.map(lambda *leaves: np.stack(leaves), *[one.state for one in members])
  together = seconds(
    step_of_all(step, own),
    states,
    {**data, **own},
    of_call(lambda number: np.stack([one.indices(number) for one in members], axis=1)),
  )
  per_step = 1e3 / (calls * steps_per_call)
  logging.info(
    "%d networks: %.3g ms a step one after the other, %.3g as one program",
    len(members), len(members) * alone * per_step, together * per_step,
  )  # fmt: skip
  return together < len(members) * alone
