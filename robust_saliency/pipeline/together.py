"""Trainings that differ in seed or in their terms' weights, as one program."""

from collections.abc import Mapping
from pathlib import Path

from robust_saliency.pipeline.plan import Plan
from robust_saliency.pipeline.stage import Done, Stage, follows_from, identity_of
from robust_saliency.pipeline.stages import DATA
from robust_saliency.training import (
  begun_as_one_program,
  interruption,
  one_program_is_faster,
  steps_per_call_by_default,
  train_many,
)


def train_sweep(
  plan: Plan, name: str, workdir: Path, done: Mapping[Stage, Done], *, try_first: bool = False
) -> None:
  """Trains this network with all that differ from it in seed or weights, as one program.

  Those that one program has begun resume in it; not those that have begun alone, are finished, or
  whose teacher, or that of their maps, has diverged. Each leaves what it would have left alone.

  Args:
    plan: the experiment.
    name: of the network.
    workdir: the experiment's directory.
    done: the stages that are finished.
    try_first: leaves them to be trained one after the other where a trial is faster so.
  """
  network, models = plan.networks[name], workdir / "models"
  sweep = next((sweep for sweep in plan.sweeps if name in sweep), [])
  found = {
    str(stage.folder.relative_to("models")): stage.settled(done)
    for other in sweep
    for stage in plan.trainings[other]
    if all(needed in done for of_role in stage.needs.values() for needed in of_role)
  }
  identities = {folder: identity_of(follows_from(stage, done)) for folder, stage in found.items()}
  names = begun_as_one_program(models, identities)
  begun = bool(names)
  if not begun:
    names = [
      folder
      for folder, stage in found.items()
      if not any((models / folder / "checkpoints").glob("step_*"))
      and stage.read(models / folder, identities[folder]) is None
      and not any(done[one].result.diverged for one in stage.needs.get("teacher", ()))
      and not stage.hindered
    ]
    if len(names) < 2:
      return
  interruption.check(f"{len(names)} networks, {name} among them, are next")
  members = [
    stage.network.as_member(
      stage.seed,
      folder,
      **{role: done[of[0]].result for role, of in stage.needs.items() if role != DATA},
      maps=stage.maps(),
      identity=identities[folder],
    )
    for folder in names
    for stage in [found[folder]]
  ]
  data = {"x": plan.dataset.train.x, "y": plan.dataset.train.y}
  per_call = network.recipe.steps_per_call or steps_per_call_by_default()
  if try_first and not begun:
    if not one_program_is_faster(network.step_of_weights, members, data, steps_per_call=per_call):
      return
  train_many(
    network.step_of_weights,
    members,
    data,
    steps=network.recipe.total_steps(len(plan.dataset.train)),
    directory=models,
    together=True,
    log_every=network.recipe.log_every,
    checkpoint_every=network.recipe.checkpoint_every,
    steps_per_call=per_call,
  )
