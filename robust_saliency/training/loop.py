"""The training loop: steps, metrics, progress and checkpoints, the same for any kind of state."""

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import numpy as np
from absl import logging
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.progress import Progress
from robust_saliency.training import checkpoints, interruption, metrics
from robust_saliency.training.calls import calls
from robust_saliency.training.checkpoints import Checkpoint
from robust_saliency.training.divergence import DivergedError
from robust_saliency.training.early_stopping import Scores, Selection, best_step
from robust_saliency.training.notes import Diverged, check_notes, notes_of, numbers_of
from robust_saliency.training.probe import Probe
from robust_saliency.training.rows import ALONE, Rows
from robust_saliency.training.step import Data, replicate

State = TypeVar("State")

restore = functools.partial(checkpoints.restore, check_notes=check_notes)


class Finished(NamedTuple, Generic[State]):
  """What a training has left at its end.

  Attributes:
    state: what `train` returned: the last state, or the best one of its selection.
    last: the one after its last step.
    rows: its metrics.
  """

  state: State
  last: State
  rows: list[metrics.Row]


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
  identity: Any = None,
  selection: Selection | None = None,
  probe: Probe | None = None,
  devices: Sequence[jax.Device] | None = None,
  members: Sequence[str] = (),
  steps_per_call: int = 1,
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
    keep: how many checkpoints stay, the newest and before it such as were due, the best one apart.
    identity: what the run follows from, JSON-serialisable; checkpoints of another are skipped.
    selection: evaluates states on the way, ends the training early, and chooses the one that is
      returned.
    probe: measures states on the way, into the row of their step.
    devices: those that the step is mapped over; None for all of them.
    members: names of the networks that the state holds (see `train_many`); every metric is then an
      array with a number for each of them. A network that diverges leaves the others alone, and
      the run ends early only when all have.
    steps_per_call: how many steps a call of `mapped_step` takes at most, as it was mapped with. A
      call ends where its number divides the steps, and where the state is saved or measured; rows
      are those of single steps. Signals are seen between calls.

  Returns:
    The state after `steps` steps, or the best one of the selection.

  Raises:
    DivergedError: if a metric of a single network becomes NaN or infinite, or the state NaN; the
      last good checkpoint stays.
    StoppedError: if a signal has asked for it (see `interruption`); the state is saved.
    ValueError: if the run has taken more steps already, or a number is not allowed.
    OSError: if something cannot be written; what was saved before stays.

  >>> import tempfile
  >>> import jax.numpy as jnp
  >>> from robust_saliency.training.step import map_over_devices
  >>> def add(state, data, indices):  # in the place of a step of `make_step`
  ...   total = jax.lax.psum(data["x"][indices].sum(), "batch")
  ...   return state + total, {"added": total}
  >>> one = jax.local_devices()[:1]
  >>> state = train(
  ...   map_over_devices(add, one), jnp.zeros(()), {"x": jnp.arange(4.0)}, steps=2, devices=one,
  ...   indices=lambda step: np.array([[step, 3]]), directory=Path(tempfile.mkdtemp()),
  ... )
  >>> float(state)  # (0 + 3) + (1 + 3)
  7.0
  """
  checks.count(0, steps=steps)
  checks.count(log_every=log_every, checkpoint_every=checkpoint_every, keep=keep)
  checks.count(steps_per_call=steps_per_call)
  folder = directory / "checkpoints"
  with interruption.deferred():
    saved = _resume(folder, state, identity, selection)
    first, notes = (0, {}) if saved is None else (saved.step, saved.notes)
    scores = {int(step): score for step, score in notes.get("scores", {}).items()}
    if first > steps:
      raise ValueError(
        f"steps must be >= {first}, which {directory} has taken already, got {steps}"
      )
    diverged: Diverged = dict(notes.get("diverged", {}))
    networks = members or (ALONE,)
    over = (
      first == steps
      or len(diverged) == len(networks)
      or (selection is not None and selection.is_over(scores))
    )
    first_process = jax.process_index() == 0
    if over and saved is not None:
      noted = numbers_of(notes["rows"])
      if first_process and str(metrics.read_metrics(directory)) != str(noted):  # NaN equals NaN
        metrics.write_rows(directory, noted)
      return _chosen(folder, saved, scores, identity)
    if over:
      return state
    state = replicate(state if saved is None else saved.state, devices)
    data = replicate(data, devices)
    progress = Progress(label, steps, start=first, shown=first_process)
    with closing(
      metrics.MetricsWriter(
        directory,
        resumed_at=first,
        rows=numbers_of(notes.get("rows", [])),
        writes=first_process,
      )
    ) as writer:
      rows = Rows(
        writer,
        label=label,
        networks=networks,
        recent=notes.get("recent", []),
        scores=scores,
        diverged=diverged,
        selection=selection,
        probe=probe,
      )
      for call in calls(
        first,
        steps,
        steps_per_call=steps_per_call,
        log_every=log_every,
        checkpoint_every=checkpoint_every,
        selection=selection,
        probe=probe,
      ):
        of_call = [indices(step) for step in range(call.first, call.last)]
        stacked = steps_per_call > 1
        state, measured = mapped_step(
          state, data, np.stack(of_call, axis=1) if stacked else of_call[0]
        )
        # Several processes ask one another now and then; one alone may look at every call.
        stopping = (bool(call.rows) or jax.process_count() == 1) and interruption.is_asked(
          of_any_process=True
        )
        rows.add(call, measured, state, stacked=stacked)
        if call.checkpoint_due or stopping or rows.all_diverged:
          # Rows first, for those who watch; a resumed run takes its rows from the checkpoint.
          saved = Checkpoint(call.last, state, rows.flush(call.last))
          _save(folder, saved, keep=keep, every=checkpoint_every, identity=identity, label=label)
        progress.update(call.last, rows.note)
        ended = selection is not None and call.evaluation_due and selection.is_over(scores)
        if ended or rows.all_diverged:
          break
        if stopping and call.last < steps:
          interruption.stop(f"{label} is saved at step {call.last} of {steps}")
    progress.finish(rows.note)
  assert saved is not None
  return _chosen(folder, saved, scores, identity)


def finished(
  state: State,
  *,
  steps: int,
  directory: Path,
  identity: Any = None,
  selection: Selection | None = None,
) -> Finished[State] | None:
  """What `train` left at its end.

  Reads only.

  Args:
    state: of the same structure and shapes.
    steps: when the training is over, counted from its first step.
    directory: where its checkpoints and metrics are.
    identity: what it follows from; checkpoints of another are skipped.
    selection: what may have ended it early, and chose the state.

  Returns:
    None where no run of this identity has come to its end there.
  """
  folder = directory / "checkpoints"
  saved = _resume(folder, state, identity, selection)
  if saved is None:
    return None
  scores = {int(step): score for step, score in saved.notes.get("scores", {}).items()}
  if saved.step < steps and not (selection is not None and selection.is_over(scores)):
    return None
  chosen = _chosen(folder, saved, scores, identity)
  last = jax.tree.map(np.asarray, saved.state)
  return Finished(chosen, last, numbers_of(saved.notes["rows"]))


def save_last(
  directory: Path,
  steps: int,
  state: Any,
  rows: list[metrics.Row],
  *,
  identity: Any,
  diverged: Diverged | None = None,
) -> None:
  """Saves a state that was trained elsewhere, as `train` leaves it after its last step.

  Args:
    directory: the run's folder, in which `train` finds it finished.
    steps: how many it took.
    state: of host arrays.
    rows: its metrics.
    identity: what it follows from, JSON-serialisable.
    diverged: of a run of several networks, those that have diverged.

  Raises:
    OSError: if it cannot be written.
  """
  notes = notes_of(rows, [], {}, diverged or {})
  checkpoints.save(directory / "checkpoints", steps, state, identity=identity, notes=notes)


def _resume(
  folder: Path, state: State, identity: Any, selection: Selection | None
) -> Checkpoint[State] | None:
  """The newest checkpoint from which a run can resume to the same end."""
  saved = restore(folder, state, identity=identity)
  while selection is not None and saved is not None and saved.notes["scores"]:
    best = best_step({int(step): score for step, score in saved.notes["scores"].items()})
    if best == saved.step or restore(folder, state, identity=identity, step=best):
      break
    logging.warning("The best checkpoint, of step %d, is trained again", best)
    saved = restore(folder, state, identity=identity, before=best)
  return saved


def _chosen(folder: Path, saved: Checkpoint[State], scores: Scores, identity: Any) -> State:
  best = best_step(scores) if scores else saved.step
  if best != saved.step:
    restored = restore(folder, saved.state, identity=identity, step=best)
    if restored is None:
      raise OSError(f"the best checkpoint, of step {best} in {folder}, was damaged meanwhile")
    saved = restored
  return jax.tree.map(np.asarray, saved.state)


def _save(folder: Path, checkpoint: Checkpoint[Any], *, label: str, **settings: Any) -> None:
  step, state, notes = checkpoint
  best = best_step(notes["scores"]) if notes["scores"] else None
  try:
    checkpoints.save(folder, step, state, best=best, notes=notes, **settings)
  except FloatingPointError as error:
    raise DivergedError(label, str(error), step) from None
