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

from robust_saliency.training.loop import train
from robust_saliency.training.metrics import read_metrics, write_rows
from robust_saliency.training.step import Data, Step, map_over_devices


@dataclasses.dataclass(frozen=True)
class Member:
  """One of many networks that share an architecture and a recipe.

  Attributes:
    name: of its folder, and in its progress line.
    state: before the first step.
    indices: number of a step -> the examples it sees, int32 [local devices, per device].
    own: entries of the data that this network alone sees: hyper-parameters (numbers that the step
      reads from its data), masks, images. All members have the same ones, of the same shapes.
  """

  name: str
  state: Any
  indices: Callable[[int], np.ndarray]
  own: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def train_many(
  step: Step,
  members: Sequence[Member],
  data: Data,
  *,
  steps: int,
  directory: Path,
  together: bool | None = None,
  identity: Any = None,
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
    directory: gets one folder a member, with its metrics.
    together: True for one program, False for one after the other; None for one program except on
      CPU. The results are the same, up to the rounding of sums.
    identity: what the networks follow from, JSON-serialisable.
    label: what the progress line calls them.
    **settings: `log_every`, `checkpoint_every` and `keep` of `train`.

  Returns:
    The members' last states, in their order.

  Raises:
    ValueError: for no members, names that are not unique, or other entries in one member's `own`.
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
  if together is None:
    together = jax.default_backend() != "cpu"
  shared = {"identity": identity, "steps": steps, **settings}
  if together:
    return _train_together(step, members, data, directory, label=label, **shared)
  mapped = map_over_devices(step)
  return [
    train(
      mapped,
      member.state,
      {**data, **member.own},
      indices=member.indices,
      directory=directory / member.name,
      label=f"{label} {member.name}",
      **shared,
    )
    for member in members
  ]


def _train_together(
  step: Step, members: Sequence[Member], data: Data, directory: Path, *, label: str, **shared: Any
) -> list[Any]:
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
    directory=directory / "together",
    label=f"{label} {len(members)} networks",
    **shared,
  )
  if jax.process_index() == 0:
    rows = read_metrics(directory / "together")
    for member in members:
      write_rows(directory / member.name, [_row_of(member.name, row) for row in rows])
  return [jax.tree.map(lambda leaf, i=i: leaf[i], states) for i in range(len(members))]


def _row_of(name: str, row: Mapping[str, float]) -> dict[str, float]:
  prefix = f"{name}{_SEPARATOR}"
  own = {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
  return {"step": row["step"], **own}


_SEPARATOR = "/"
