"""Many networks as one program, and what each of them leaves in a folder of its own.

While they train, the program's checkpoints hold all of them. At the end each network gets its own
checkpoint and metrics, as if it had been trained alone; only then do the program's go.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core import files
from robust_saliency.training import checkpoints, divergence
from robust_saliency.training.loop import restore, save_last, train
from robust_saliency.training.metrics import MetricsWriter, Row
from robust_saliency.training.notes import numbers_of
from robust_saliency.training.probe import Probe
from robust_saliency.training.rows import SEPARATOR
from robust_saliency.training.step import Data, Step, map_over_devices


@dataclasses.dataclass(frozen=True)
class Member:
  """One of many networks that share an architecture and a recipe.

  Attributes:
    name: of its folder, and in its progress line; may be a path, "GR/seed_0".
    state: before the first step.
    indices: number of a step -> the examples it sees, int32 [local devices, per device].
    own: entries of the data that this network alone sees: hyper-parameters (numbers that the step
      reads from its data), masks, images. All members have the same ones, of the same shapes.
    identity: what the network follows from, JSON-serialisable.
    probe: measures its states on the way; all members have one, as often, or none has.
  """

  name: str
  state: Any
  indices: Callable[[int], np.ndarray]
  own: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  identity: Any = None
  probe: Probe | None = None


def train_together(
  step: Step,
  members: Sequence[Member],
  data: Data,
  directory: Path,
  *,
  steps: int,
  steps_per_call: int,
  **settings: Any,
) -> list[Any]:
  """`train_many` as one program; arguments, result and errors are the same."""
  folder = _program_folder(directory, members[0].name)
  results = _handed_out(members, directory, steps)
  if results is None:
    states = jax.tree.map(lambda *leaves: np.stack(leaves), *[member.state for member in members])
    identity = [[member.name, member.identity] for member in members]
    _gather(folder, members, directory, states, identity)
    own = jax.tree.map(lambda *values: np.stack(values), *[dict(m.own) for m in members])
    train(
      map_over_devices(step_of_all(step, own), steps_per_call=steps_per_call),
      states,
      {**data, **own},
      # Devices first, then members.
      indices=lambda number: np.stack([member.indices(number) for member in members], axis=1),
      directory=folder,
      steps=steps,
      identity=identity,
      probe=_probe_of_all(members),
      members=[member.name for member in members],
      steps_per_call=steps_per_call,
      **settings,
    )
    # From the checkpoint, which a kill on the way leaves whole.
    saved = restore(folder / "checkpoints", states, identity=identity)
    if saved is None:
      raise OSError(f"the last checkpoint in {folder} was damaged meanwhile")
    results = [_hand_out(member, i, saved, directory, steps) for i, member in enumerate(members)]
  if jax.process_index() == 0:
    shutil.rmtree(folder, ignore_errors=True)
  return results


def begun_as_one_program(directory: Path, identities: Mapping[str, Any]) -> list[str]:
  """The networks that one program has begun to train in this folder, and has not handed out.

  Args:
    directory: as of `train_many`.
    identities: name of a network -> what it follows from, of all that may be among them.

  Returns:
    Their names, in the program's order; [] where there is no such program.
  """
  for name in identities:
    of_all = checkpoints.identity_of_newest(_program_folder(directory, name) / "checkpoints")
    known = json.loads(files.json_text(identities))
    if of_all and all(member in known and known[member] == one for member, one in of_all):
      return [member for member, _ in of_all]
  return []


def step_of_all(step: Step, own: Mapping[str, Any]) -> Step:
  """One step of all networks at once.

  Args:
    step: that of one, not mapped.
    own: the entries of the data of which each network has its own, stacked.

  Returns:
    `(states, data, indices [members, B]) -> (states, metrics [members])`.
  """

  def step_of_one(state: Any, data: Data, indices: Array) -> tuple[Any, dict[str, Array]]:
    moved, metrics = step(state, data, indices)
    floats = [a for a in jax.tree.leaves(moved) if jnp.issubdtype(a.dtype, jnp.inexact)]
    broken = jnp.any(jnp.stack([jnp.isnan(a).any() for a in floats])) if floats else False
    # A network that has diverged stays where it was. Nothing of it could reach the others but by
    # a kernel that multiplies by zero what belongs to another network.
    kept = jax.tree.map(lambda old, new: jnp.where(broken, old, new), state, moved)
    return kept, {name: jnp.where(broken, jnp.nan, value) for name, value in metrics.items()}

  def of_all(states: Any, data: Data, indices: Array) -> tuple[Any, dict[str, Array]]:
    axes = {name: 0 if name in own else None for name in data}
    return jax.vmap(step_of_one, in_axes=(0, axes, 0))(states, data, indices)

  return of_all


def _handed_out(members: Sequence[Member], directory: Path, steps: int) -> list[Any] | None:
  """The members' last states, if each has its own."""
  results = []
  for member in members:
    folder = directory / member.name
    if divergence.recorded(folder, identity=member.identity):
      results.append(divergence.without_numbers(member.state))
      continue
    saved = restore(folder / "checkpoints", member.state, identity=member.identity, step=steps)
    if saved is None:
      return None
    results.append(saved.state)
  return results


def _gather(
  folder: Path, members: Sequence[Member], directory: Path, states: Any, identity: Any
) -> None:
  """Puts members that have been handed out after fewer steps together again."""
  if restore(folder / "checkpoints", states, identity=identity) is not None:
    return
  diverged = {
    member.name: (reason, 0)  # the step is on record already
    for member in members
    if (reason := divergence.recorded(directory / member.name, identity=member.identity))
  }
  saved: dict[str, checkpoints.Checkpoint[Any]] = {}
  for member in members:
    if member.name not in diverged:
      own = restore(directory / member.name / "checkpoints", member.state, identity=member.identity)
      if own is None:
        return
      saved[member.name] = own
  taken = {one.step for one in saved.values()}
  if len(taken) != 1:
    return
  rows: dict[float, Row] = {}
  for name, one in saved.items():
    for row in numbers_of(one.notes["rows"]):
      named = {f"{name}{SEPARATOR}{metric}": row[metric] for metric in row if metric != "step"}
      rows.setdefault(row["step"], {"step": row["step"]}).update(named)
  # Of one that has diverged no number counts any more.
  last = [saved[m.name].state if m.name in saved else m.state for m in members]
  together = jax.tree.map(lambda *leaves: np.stack(leaves), *last)
  save_last(folder, taken.pop(), together, [*rows.values()], identity=identity, diverged=diverged)


def _hand_out(
  member: Member, i: int, saved: checkpoints.Checkpoint[Any], directory: Path, steps: int
) -> Any:
  """Leaves in a member's folder what it would have left there alone, and returns its state."""
  folder = directory / member.name
  if divergence.recorded(folder, identity=member.identity):
    return divergence.without_numbers(member.state)
  rows = [_row_of(member.name, row) for row in numbers_of(saved.notes["rows"])]
  if member.name in saved.notes.get("diverged", {}):
    reason, step = saved.notes["diverged"][member.name]
    divergence.record(folder, reason, step=step, rows=rows, identity=member.identity)
    return divergence.without_numbers(member.state)
  state = _member_of(saved.state, i)
  with closing(MetricsWriter(folder, rows=[], writes=jax.process_index() == 0)) as writer:
    for row in rows:
      writer.write(int(row["step"]), {name: row[name] for name in row if name != "step"})
  save_last(folder, steps, state, rows, identity=member.identity)
  return state


def _probe_of_all(members: Sequence[Member]) -> Probe | None:
  if members[0].probe is None:
    return None

  def measure(states: Any) -> dict[str, float]:
    return {
      f"{member.name}{SEPARATOR}{name}": value
      for i, member in enumerate(members)
      if member.probe is not None
      for name, value in member.probe.measure(_member_of(states, i)).items()
    }

  return Probe(measure, members[0].probe.every)


def _member_of(states: Any, i: int) -> Any:
  return jax.tree.map(lambda leaf: leaf[i], states)


def _row_of(name: str, row: Mapping[str, float]) -> dict[str, float]:
  prefix = f"{name}{SEPARATOR}"
  own = {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
  return {"step": row["step"], **own}


def _program_folder(directory: Path, first: str) -> Path:
  return directory / first / "together"
