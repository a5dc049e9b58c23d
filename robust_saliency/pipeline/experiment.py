"""One experiment: from its config to trained networks, studies, judged claims and a report.

Every stage leaves its result in the working directory and is not repeated when the experiment is
started again:

  config.json                   what the directory belongs to
  models/NAME/seed_N/           a training: checkpoints, metrics.csv, TensorBoard events
  studies/NAME/                 a study: what it measured
  studies/NAME/kept/            what is too large for a report: the maps that networks are taught
  .../stage.json                what a finished stage follows from, and where and when it ran
  claims.toml, published.csv    the tables that its claims come from
  report.html, figures/, data/  what people read, and its numbers, the claims' verdicts among them
  evaluations/, explanations/   what the commands have found that look at it
  user_studies/                 questionnaires about it, and what people answered
  finished.json                 what all of it was like when the command had finished
  .lock, .locks/                which process is at it, and at which of its stages
"""

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from robust_saliency import report
from robust_saliency.core import folders
from robust_saliency.core.progress import duration
from robust_saliency.pipeline import workdir as workdirs
from robust_saliency.pipeline.checked import Checked
from robust_saliency.pipeline.choices import chosen
from robust_saliency.pipeline.imports import Import
from robust_saliency.pipeline.imports import check as check_imports
from robust_saliency.pipeline.judging import write_report
from robust_saliency.pipeline.plan import Plan
from robust_saliency.pipeline.provenance import of_all
from robust_saliency.pipeline.stage import (
  Done,
  Stage,
  follows_from,
  own_origin,
  read_record,
  run_or_read,
)
from robust_saliency.pipeline.stages import DATA, StudyStage, TrainingStage
from robust_saliency.pipeline.take_over import take_over
from robust_saliency.pipeline.together import train_sweep
from robust_saliency.pipeline.workdir import WorkdirError
from robust_saliency.results.files import ABOUT
from robust_saliency.studies import training as training_curves
from robust_saliency.studies.selection import Selection
from robust_saliency.training import (
  TrainedNetwork,
  interruption,
  read_metrics,
  tries_one_program_by_default,
)
from robust_saliency.training.metrics import write_rows

POLL = 0.2  # seconds between looks at what other processes are at


class Experiment:
  """A config and the directory in which it is run; nothing has been computed or written yet.

  Args:
    config: the fields of `ExperimentSettings`.
    workdir: where everything goes.
    folder: where the config's tables lie; None for `workdir`, which keeps copies.
    data_dir: where TFDS's prepared sets lie; None for TFDS_DATA_DIR or TFDS's default.
    rerun_changed: makes a directory of another config this one's, keeping what has not changed;
      None for no, where a user cannot ask for it.
    together: whether networks that differ in seed or in their terms' weights are trained as one
      program; None for where a trial of a few steps is faster so, and on CPU never.
    imports: the files that have registered methods of the user's own, see `imports.load`.
    checked: the plans that have been traced before, as of `Plan`; not with imports.

  Raises:
    ValueError, TypeError: for anything in the config that does not exist or is not allowed.
    FileNotFoundError: if the data set or a table is not there.
    RuntimeError: if there is more than one process.
  """

  def __init__(
    self,
    config: Mapping[str, Any],
    workdir: Path,
    *,
    folder: Path | None = None,
    data_dir: str | None = None,
    rerun_changed: bool | None = False,
    together: bool | None = None,
    imports: Sequence[Import] = (),
    checked: Checked | None = None,
  ):
    self.workdir = workdir.absolute()
    self.plan = Plan(
      config, folder=folder or self.workdir, data_dir=data_dir, checked=None if imports else checked
    )
    self._rerun_changed, self._imports = rerun_changed, imports
    self._together = tries_one_program_by_default() if together is None else together
    self._try_first = together is None

  def run(self, *, command: str, beside: AbstractContextManager[None] | None = None) -> Path:
    """Does whatever is missing, and returns the report's path.

    Args:
      command: the command line, repeated in the report.
      beside: within which other processes `compute` the same; not entered where at most one stage
        is left.

    Returns:
      The path of `report.html`.

    Raises:
      WorkdirError: if another run is using the directory, it belongs to another config, or what it
        holds follows from other data or from an older version.
      StoppedError: if a signal has asked for it; whatever is finished is saved.
    """
    with workdirs.in_use(self.workdir):
      left = self._claim()
      if left:
        print(f"{len(left)} of {len(self.plan.stages)} stages to do: {left[0]}...", file=sys.stderr)
      self.plan.tables.keep(self.workdir)
      with beside if beside is not None and len(left) > 1 else contextlib.nullcontext():
        done = self.compute()
      return self._report(done, command=command)

  def compute(self) -> dict[Stage, Done]:
    """Computes the stages that are missing, and reads the others.

    Several processes may do so in one directory: each takes the first stage that can be computed
    and that no other is at.
    """
    done: dict[Stage, Done] = {self.plan.data: self.plan.data.done()}
    over, waiting = {*done}, list(self.plan.stages)
    while waiting:
      for stage in waiting:
        needed = (one for of_role in stage.needs.values() for one in of_role)
        if over.issuperset(needed) and self._take(stage, done):
          over.add(stage)
          waiting.remove(stage)
          break
      else:
        interruption.check(f"{waiting[0].name} is next")
        time.sleep(POLL)
    return done

  def _take(self, stage: Stage, done: dict[Stage, Done]) -> bool:
    """Computes or reads a stage; False where another process is at it."""
    if isinstance(stage, StudyStage) and stage.diverged(done):
      return True
    lock = self.workdir / workdirs.LOCKS / "-".join(stage.folder.parts)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
      try:
        held.enter_context(folders.locked(lock))
      except BlockingIOError:
        return False
      if isinstance(stage, TrainingStage):
        self._train(stage, done)
      else:
        interruption.check(f"{stage.name} is next")
        done[stage] = run_or_read(stage, self.workdir, done)
        if done[stage].computed:
          print(f"{stage.name}: done in {duration(done[stage].record.seconds)}", file=sys.stderr)
    return True

  def _train(self, stage: TrainingStage, done: dict[Stage, Done]) -> None:
    if self._together and stage is self.plan.trainings[stage.network.name][0]:
      train_sweep(self.plan, stage.network.name, self.workdir, done, try_first=self._try_first)
    interruption.check(f"{stage.name} is next")
    take_over(stage, self.workdir, done)
    done[stage] = run_or_read(stage, self.workdir, done)
    rows, directory = list(done[stage].result.rows), self.workdir / stage.folder
    if str(read_metrics(directory)) != str(rows):  # NaN equals NaN
      write_rows(directory, rows)

  def trained(self, done: Mapping[Stage, Done]) -> dict[str, list[TrainedNetwork]]:
    """Model -> its networks, one per seed, in the order of the config."""
    return {
      name: [done[stage].result for stage in self.plan.trainings[name]]
      for name in self.plan.networks
    }

  def _claim(self) -> list[str]:
    """Makes the directory this experiment's.

    Returns:
      The names of the stages that are left, in order.

    Raises:
      WorkdirError: if it would replace results without having been told to.
    """
    check_imports(workdirs.read_imports(self.workdir), self._imports, self.workdir)
    stale, replaced = self._stale()
    if (
      replaced
      and not self._rerun_changed
      and workdirs.is_same(workdirs.read_config(self.workdir), self.plan.config)
    ):
      names = ", ".join(f"{stage.name} ({why})" for stage, why in list(replaced.items())[:3])
      said = f"{self.workdir} holds results that this experiment would replace: {names}"
      if self._rerun_changed is None:
        raise WorkdirError(f"{said}; choose another folder, or delete this one to start over")
      raise WorkdirError(
        f"workdir {said}. Give --rerun_changed to do so, or choose another --workdir."
      )
    left = [stage.name for stage in stale]
    workdirs.claim(
      self.workdir,
      self.plan.config,
      rerun_changed=self._rerun_changed,
      stages=left,
      imports=self._imports,
    )
    return left

  def _stale(self) -> tuple[list[Stage], dict[Stage, str]]:
    """The stages without a result of their identity, and why those that have one do not fit."""
    done: dict[Stage, Done] = {self.plan.data: self.plan.data.done()}
    stale: list[Stage] = []
    replaced: dict[Stage, str] = {}
    for stage in self.plan.stages:
      record = read_record(self.workdir / stage.folder)
      if record is None or any(
        needed not in done for of_role in stage.needs.values() for needed in of_role
      ):
        stale.append(stage)
        continue
      if any(isinstance(one, StudyStage) for of in stage.needs.values() for one in of):
        # Which network was chosen is known once it is read, and what follows from it.
        given = {**own_origin(stage), "needs": record.follows_from["needs"]}
        if isinstance(stage, TrainingStage):
          given["settings"] = record.follows_from["settings"]
      else:
        given = follows_from(stage, done)
      known = record.follows_from
      if known != given:
        stale.append(stage)
        if known["needs"].get(DATA) != given["needs"].get(DATA):
          replaced[stage] = "of other images"
        elif known["version"] != given["version"]:
          replaced[stage] = f"of version {known['version']}, now {given['version']}"
        elif known["settings"] != given["settings"]:
          replaced[stage] = "of other settings or imports"
        continue
      done[stage] = Done(None, record, computed=False)
    return stale, replaced

  def _report(self, done: Mapping[Stage, Done], *, command: str) -> Path:
    trained, settings = self.trained(done), self.plan.settings
    rows = {
      name: [{"seed": one.seed, **row} for one in of_seeds for row in one.rows]
      for name, of_seeds in trained.items()
    }
    words = [
      f"The training of {name}, seed {one.seed}, has diverged ({one.diverged}): its numbers are "
      "missing (n/a), and claims about it are undecided."
      for name, of_seeds in trained.items()
      for one in of_seeds
      if one.diverged
    ]
    findings = report.Findings(
      title=settings.title,
      command=command,
      summary=" ".join([settings.summary or "", *words]).strip(),
      scale=settings.scale or "",
      dataset=self.plan.dataset.name,
      results=[done[stage].result for stage in self.plan.studies.values() if stage in done],
      paths={
        name: self.workdir / stage.folder / ABOUT for name, stage in self.plan.studies.items()
      },
      curves=training_curves.training_curves(rows, self.plan.seeds),
      diverged=tuple(sorted(self._diverged(trained, done))),
      run={
        "config": self.plan.config,
        "imports": self._imports,
        "data": done[self.plan.data].record.content,
        "wall_seconds": self._seconds(done),
        **of_all(
          one.record.provenance for stage, one in done.items() if stage is not self.plan.data
        ),
      },
    )
    studies = {name: stage.study for name, stage in self.plan.studies.items()}
    return write_report(self.workdir, findings, tables=self.plan.tables, studies=studies)

  def _diverged(
    self, trained: Mapping[str, list[TrainedNetwork]], done: Mapping[Stage, Done]
  ) -> set[str]:
    """The networks of which a training has diverged, and the families whose chosen one has."""
    found = {name for name, of_seeds in trained.items() if any(one.diverged for one in of_seeds)}
    for stage in self.plan.studies.values():
      if isinstance(stage.study, Selection):
        for family in stage.study.families:
          name = chosen(stage, family, done)
          if name in found and family not in trained:
            found.add(family)
    return found

  def _seconds(self, done: Mapping[Stage, Done]) -> dict[str, float]:
    """How long the trainings have taken together, and each study, as their records say."""
    trainings = [done[stage].record.seconds for of in self.plan.trainings.values() for stage in of]
    return {
      "training": sum(trainings),
      **{
        stage.name: done[stage].record.seconds
        for stage in self.plan.studies.values()
        if stage in done
      },
    }
