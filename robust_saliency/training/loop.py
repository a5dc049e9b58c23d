"""The training loop: steps, metrics, progress and checkpoints, the same for any kind of state."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import jax
import numpy as np
from jax import Array

from robust_saliency.training import checkpoints
from robust_saliency.training.metrics import MetricsWriter
from robust_saliency.training.progress import Progress
from robust_saliency.training.step import Data, replicate

State = TypeVar("State")


class DivergedError(FloatingPointError):
  """The loss, or a part of it, has become NaN or infinite."""


def train(
  mapped_step: Callable[[State, Data, np.ndarray], tuple[State, Mapping[str, Array]]],
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
    DivergedError: if a metric becomes NaN or infinite; the last good checkpoint stays.
  """
  saved = checkpoints.restore_latest(directory / "checkpoints", (0, state))
  first, state = (0, state) if saved is None else (int(saved[0]), saved[1])
  if first >= steps:
    return state
  state, data = replicate(state), replicate(data)
  writer = MetricsWriter(directory, resumed_at=first)
  progress = Progress(label, steps, start=first)
  recent: list[Mapping[str, Array]] = []
  note = ""
  for step in range(first, steps):
    state, metrics = mapped_step(state, data, indices(step))
    recent.append(metrics)
    done = step + 1
    if done % log_every == 0 or done == steps:
      means = _means(recent)
      _refuse_divergence(means, done, label)
      writer.write(done, means)
      note = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
      recent = []
    if done % checkpoint_every == 0 or done == steps:
      if recent:
        _refuse_divergence(_means(recent), done, label)
      checkpoints.save(directory / "checkpoints", done, (done, state), keep=keep)
      writer.flush()
    progress.update(done, note)
  writer.close()
  progress.finish(note)
  return jax.tree.map(np.asarray, state)


def _means(rows: list[Mapping[str, Array]]) -> dict[str, float]:
  return {name: float(np.mean([np.asarray(row[name]) for row in rows])) for name in rows[0]}


def _refuse_divergence(means: Mapping[str, float], step: int, label: str) -> None:
  for name, value in means.items():
    if not math.isfinite(value):
      raise DivergedError(
        f"{label}: {name} became {value} by step {step}; the last checkpoint before it is kept. "
        "A lower learning rate or a smaller weight of that term usually helps."
      )
