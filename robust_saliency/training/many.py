"""Many networks at once: as one program on an accelerator, one after the other on CPU.

On an accelerator a small network is bound by the dispatch of its steps, and `jax.vmap` trains many
for the price of one. On CPU that is several times slower than one after the other.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.training.loop import save_last, train
from robust_saliency.training.metrics import read_metrics, write_rows
from robust_saliency.training.probe import Probe
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


def train_many(
  step: Step,
  members: Sequence[Member],
  data: Data,
  *,
  steps: int,
  directory: Path,
  together: bool | None = None,
  label: str = "training",
  **settings: Any,
) -> list[Any]:
  """Trains networks that differ in seed, data, or hyper-parameters.

  Args:
    step: the step of one device, not mapped (`make_step`); it finds what differs in its data, for
      instance by `make_step(..., objective_with(data["weight"]))(state, data, indices)`.
    members: the networks.
    data: the resident data that all see.
    steps: how many steps each is trained.
    directory: gets one folder a member, with its metrics and, at the end, its checkpoint, from
      which `train` goes on.
    together: True for one program, False for one after the other; None for one program except on
      CPU. The results are the same, up to the rounding of sums.
    label: what the progress line calls them.
    **settings: `log_every`, `checkpoint_every` and `keep` of `train`.

  Returns:
    The members' last states, in their order.

  Raises:
    ValueError: for no members, names that are not unique, or other entries in one member's `own`,
      or another rhythm of its probe.
  """
  names = [member.name for member in members]
  if not names or len(set(names)) != len(names):
    raise ValueError(f"members must have names of their own, at least one, got {names}")
  for member in members:
    if set(member.own) != set(members[0].own):
      raise ValueError(
        f"members must have the same entries of their own, got {sorted(members[0].own)} for "
        f"{names[0]!r} and {sorted(member.own)} for {member.name!r}"
      )
  rhythms = {None if member.probe is None else member.probe.every for member in members}
  if len(rhythms) > 1:
    raise ValueError(f"members must be probed alike, got probes every {rhythms} steps")
  if together is None:
    together = trained_together_by_default()
  if together:
    return _train_together(
      step,
      members,
      data,
      directory,
      steps=steps,
      label=f"{label} {len(members)} networks",
      **settings,
    )
  mapped = map_over_devices(step)
  return [
    train(
      mapped,
      member.state,
      {**data, **member.own},
      indices=member.indices,
      directory=directory / member.name,
      label=f"{label} {member.name}",
      steps=steps,
      identity=member.identity,
      probe=member.probe,
      **settings,
    )
    for member in members
  ]


def trained_together_by_default() -> bool:
  """Whether this machine is faster with many networks in one program."""
  return jax.default_backend() != "cpu"


def _train_together(
  step: Step,
  members: Sequence[Member],
  data: Data,
  directory: Path,
  *,
  steps: int,
  **settings: Any,
) -> list[Any]:
  folder = directory / members[0].name / "together"
  own = jax.tree.map(lambda *values: np.stack(values), *[dict(m.own) for m in members])

  def step_of_all(states: Any, data: Data, indices: Array) -> tuple[Any, dict[str, Array]]:
    axes = {name: 0 if name in own else None for name in data}
    states, metrics = jax.vmap(step, in_axes=(0, axes, 0))(states, data, indices)
    rows = {
      f"{member.name}{_SEPARATOR}{name}": values[i]
      for i, member in enumerate(members)
      for name, values in metrics.items()
    }
    return states, rows

  def indices(number: int) -> np.ndarray:
    # Devices first, then members.
    return np.stack([member.indices(number) for member in members], axis=1)

  states = train(
    map_over_devices(step_of_all),
    jax.tree.map(lambda *leaves: jnp.stack(leaves), *[member.state for member in members]),
    {**data, **own},
    indices=indices,
    directory=folder,
    steps=steps,
    identity=[[member.name, member.identity] for member in members],
    probe=_probe_of_all(members),
    **settings,
  )
  rows_of_all = read_metrics(folder)
  results = []
  for i, member in enumerate(members):
    state = _member_of(states, i)
    rows = [_row_of(member.name, row) for row in rows_of_all]
    if jax.process_index() == 0:
      write_rows(directory / member.name, rows)
    save_last(directory / member.name, steps, state, rows, identity=member.identity)
    results.append(state)
  return results


def _probe_of_all(members: Sequence[Member]) -> Probe | None:
  if members[0].probe is None:
    return None

  def measure(states: Any) -> dict[str, float]:
    return {
      f"{member.name}{_SEPARATOR}{name}": value
      for i, member in enumerate(members)
      if member.probe is not None
      for name, value in member.probe.measure(_member_of(states, i)).items()
    }

  return Probe(measure, members[0].probe.every)


def _member_of(states: Any, i: int) -> Any:
  return jax.tree.map(lambda leaf: leaf[i], states)


def _row_of(name: str, row: Mapping[str, float]) -> dict[str, float]:
  prefix = f"{name}{_SEPARATOR}"
  own = {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
  return {"step": row["step"], **own}


_SEPARATOR = "/"
