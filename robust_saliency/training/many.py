"""Many networks at once: as one program where that is faster, never so on CPU.

On an accelerator a small network is bound by the dispatch of its steps, and `jax.vmap` may train
many for the price of one. On CPU that is several times slower than one after the other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from absl import logging

from robust_saliency.training import divergence
from robust_saliency.training.divergence import DivergedError
from robust_saliency.training.loop import train
from robust_saliency.training.metrics import read_metrics
from robust_saliency.training.step import (
  Data,
  Step,
  map_over_devices,
  steps_per_call_by_default,
)
from robust_saliency.training.together import Member, begun_as_one_program, train_together
from robust_saliency.training.trial import one_program_is_faster


def train_many(
  step: Step,
  members: Sequence[Member],
  data: Data,
  *,
  steps: int,
  directory: Path,
  together: bool | None = None,
  steps_per_call: int | None = None,
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
      which `train` resumes.
    together: True for one program, False for one after the other; None for one program where a
      trial of a few steps is faster so, and on CPU never. The results are the same, up to the
      rounding of sums.
    steps_per_call: how many steps one call takes at most, see `map_over_devices`; None for this
      machine's default.
    label: what the progress line calls them.
    **settings: `log_every`, `checkpoint_every` and `keep` of `train`.

  Returns:
    The members' last states, in their order. One that diverges leaves the others alone: its state
    is NaN, its folder says why (`diverged.json`), and it is not trained again.

  Raises:
    ValueError: for no members, names that are not unique, or other entries in one member's `own`,
      or another interval of its probe.
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
  intervals = {None if member.probe is None else member.probe.every for member in members}
  if len(intervals) > 1:
    raise ValueError(f"members must have equal probe intervals, got {intervals} steps")
  if steps_per_call is None:
    steps_per_call = steps_per_call_by_default()
  if together is None:
    begun = begun_as_one_program(directory, {member.name: member.identity for member in members})
    begun_alone = any(any((directory / name / "checkpoints").glob("step_*")) for name in names)
    together = bool(begun) or (
      tries_one_program_by_default()
      and not begun_alone
      and len(members) > 1
      and one_program_is_faster(step, members, data, steps_per_call=steps_per_call)
    )
  if together:
    return train_together(
      step,
      members,
      data,
      directory,
      steps=steps,
      steps_per_call=steps_per_call,
      label=f"{label} {len(members)} networks",
      **settings,
    )
  mapped = map_over_devices(step, steps_per_call=steps_per_call)
  return [
    trained_or_diverged(
      mapped,
      member.state,
      {**data, **member.own},
      indices=member.indices,
      directory=directory / member.name,
      label=f"{label} {member.name}",
      steps=steps,
      identity=member.identity,
      probe=member.probe,
      steps_per_call=steps_per_call,
      **settings,
    )[0]
    for member in members
  ]


def trained_or_diverged(
  mapped_step: Step, state: Any, data: Data, *, directory: Path, identity: Any, **settings: Any
) -> tuple[Any, str]:
  """`train`, with divergence for a result that is recorded and not tried again.

  Args:
    mapped_step: as of `train`.
    state: as of `train`.
    data: as of `train`.
    directory: as of `train`.
    identity: as of `train`; the record of another is skipped.
    **settings: the other arguments of `train`.

  Returns:
    The trained state and "", or a state of NaN and why the training diverged.
  """
  reason = divergence.recorded(directory, identity=identity)
  if not reason:
    try:
      trained = train(mapped_step, state, data, directory=directory, identity=identity, **settings)
    except DivergedError as error:
      logging.warning("%s", error)
      reason = error.reason
      divergence.record(
        directory, reason, step=error.step, rows=read_metrics(directory), identity=identity
      )
    else:
      return trained, ""
  return divergence.without_numbers(state), reason


def tries_one_program_by_default() -> bool:
  """Whether this machine may be faster with many networks in one program."""
  return jax.default_backend() != "cpu"
