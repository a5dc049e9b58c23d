"""For commands that look at a finished experiment: they never train, replace or delete."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from robust_saliency.core import checks
from robust_saliency.data import Dataset
from robust_saliency.pipeline import workdir as workdirs
from robust_saliency.pipeline.imports import Import
from robust_saliency.pipeline.imports import check as check_imports
from robust_saliency.pipeline.plan import Plan
from robust_saliency.pipeline.stage import Done, Stage, read_stage
from robust_saliency.pipeline.stages import StudyStage
from robust_saliency.pipeline.workdir import WorkdirError
from robust_saliency.training import TrainedNetwork


def read_networks(
  workdir: Path, *, data_dir: str | None = None, imports: Sequence[Import] = ()
) -> tuple[Dataset, dict[str, list[TrainedNetwork]]]:
  """The data set and the networks of an experiment that has been run; nothing is written.

  Args:
    workdir: its directory.
    data_dir: where TFDS's prepared sets lie.
    imports: the files that have registered methods of the user's own.

  Returns:
    The data set, and model -> its networks, one per seed, of the models that have classes.

  Raises:
    FileNotFoundError: if the directory holds no experiment, or the data set is missing.
    WorkdirError: if a network is not finished, or follows from another config or other data, or if
      a folder in the directory is a link.
  """
  workdirs.refuse_links(workdir)
  config = workdirs.read_config(workdir)
  if config is None:
    raise FileNotFoundError(
      f"workdir {workdir} holds no experiment; run python -m robust_saliency.main first"
    )
  check_imports(workdirs.read_imports(workdir), imports, workdir)
  with checks.naming(str(workdir / workdirs.CONFIG_NAME)):
    plan = Plan(config, folder=workdir, data_dir=data_dir, networks_alone=True)
  done: dict[Stage, Done] = {plan.data: plan.data.done()}
  for stage in plan.stages:
    if isinstance(stage, StudyStage) and stage.diverged(done):
      continue
    found = read_stage(stage, workdir, done, whole=False)
    if found is None:
      raise WorkdirError(
        f"{stage.name} is not finished in workdir {workdir}, or follows from another config or "
        "other data; run python -m robust_saliency.main first"
      )
    done[stage] = found
  networks = {
    name: [done[s].result for s in plan.trainings[name]]
    for name, network in plan.networks.items()
    if network.recipe.has_classes
  }
  return plan.dataset, networks


def first_of_each(
  trained: Mapping[str, list[TrainedNetwork]], models: Sequence[str] = ()
) -> dict[str, TrainedNetwork]:
  """The first seed's networks by name: those of these models, or all that have not diverged.

  Raises:
    ValueError: for a model that there is not, or that has diverged.
  """
  for name in models:
    checks.one_of(name, trained, argument="models")
  for name in models or trained:
    if why := trained[name][0].diverged:
      if models:
        raise ValueError(f"models must have been trained to their end, {name!r} diverged: {why}")
      said = f"{name} is left out, its training has diverged: {why}"
      print(checks.printable(said), file=sys.stderr)
  return {name: trained[name][0] for name in models or trained if not trained[name][0].diverged}
