"""The training loop: steps, metrics, progress and checkpoints, the same for any kind of state."""

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax import Array

from robust_saliency.core import checks
from robust_saliency.training import checkpoints
from robust_saliency.training.metrics import MetricsWriter
from robust_saliency.training.progress import Progress
from robust_saliency.training.step import Data, replicate

State = TypeVar("State")


class DivergedError(FloatingPointError):
  """A metric has become NaN or infinite, or the state NaN."""


def train(
  mapped_step: Callable[[Any, Any, Any], tuple[Any, Mapping[str, Array]]],
  state: State,
  data: Data,
  *,
  steps: int,
  indices: Callable[[int], np.ndarray],
  directory: Path,
  label: str = "training",
  log_every: int = 50,
  checkpoint_every: int = 1000,
  keep: int = 2,
) -> State:
  """Trains up to `steps` steps, from the last checkpoint if there is one.

  Args:
    mapped_step: a step mapped over devices (`map_over_devices`).
    state: the state before the first step, any pytree.
    data: the resident data set; put on the devices once.
    steps: when to stop, counted from the first step of all.
    indices: number of a step -> the examples it sees, int32 [local devices, per device].
    directory: where the run's checkpoints and metrics go.
    label: what the progress line calls the run.
    log_every: steps between rows of metrics (means over these steps).
    checkpoint_every: steps between checkpoints; one more is written at the end.
    keep: how many checkpoints stay.

  Returns:
    The state after `steps` steps.

  Raises:
    DivergedError: if a metric becomes NaN or infinite, or the state NaN; the last good checkpoint
      stays.
    ValueError: if the run has taken more steps already, or a number is not allowed.
  """
  checks.count(0, steps=steps)
  checks.count(log_every=log_every, checkpoint_every=checkpoint_every, keep=keep)
  saved = checkpoints.restore_latest(directory / "checkpoints", (0, state))
  first, state = (0, state) if saved is None else (int(saved[0]), saved[1])
  if first > steps:
    raise ValueError(f"steps must be >= {first}, which {directory} has taken already, got {steps}")
  if first == steps:
    return state
  state, data = replicate(state), replicate(data)
  first_process = jax.process_index() == 0
  progress = Progress(label, steps, start=first, shown=first_process)
  recent: list[Mapping[str, Array]] = []
  note = ""
  with closing(MetricsWriter(directory, resumed_at=first, writes=first_process)) as writer:
    for step in range(first, steps):
      state, metrics = mapped_step(state, data, indices(step))
      recent.append(metrics)
      if len(recent) > STEPS_IN_FLIGHT:
        jax.block_until_ready(recent[-1 - STEPS_IN_FLIGHT])
      done = step + 1
      checkpoint_due = done % checkpoint_every == 0 or done == steps
      # A row ends at each checkpoint, so that a resumed run has the rows of one never cut off.
      if done % log_every == 0 or checkpoint_due:
        means = _means(recent)
        _refuse_divergence(means, done, label)
        writer.write(done, means)
        note = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
        recent = []
      if checkpoint_due:
        # Rows first: those beyond the last checkpoint are dropped on resuming, none is missing.
        writer.flush()
        _save(directory / "checkpoints", done, state, keep=keep, label=label)
      progress.update(done, note)
  progress.finish(note)
  return jax.tree.map(np.asarray, state)


def _means(rows: list[Mapping[str, Array]]) -> dict[str, float]:
  return {name: float(np.mean([np.asarray(row[name]) for row in rows])) for name in rows[0]}


def _refuse_divergence(means: Mapping[str, float], step: int, label: str) -> None:
  for name, value in means.items():
    if not math.isfinite(value):
      raise DivergedError(f"{label}: {name} became {value} by step {step}; {_ADVICE}")


def _save(directory: Path, step: int, state: Any, *, keep: int, label: str) -> None:
  try:
    checkpoints.save(directory, step, (step, state), keep=keep)
  except FloatingPointError as error:
    raise DivergedError(f"{label}: {error}; {_ADVICE}") from None


# Enough to keep an accelerator busy. XLA's CPU client runs devices and queues steps on one pool of
# threads, and stops for good when queued steps hold the thread that a collective waits for.
STEPS_IN_FLIGHT = 2

_ADVICE = (
  "the last checkpoint before it is kept. A lower learning rate or a smaller weight of that term "
  "usually helps."
)
