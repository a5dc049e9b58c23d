"""One experiment: from its config to trained networks, studies, judged claims and a report.

Every stage leaves its result in the working directory and is not repeated when the experiment is
started again:

  config.json                   what the directory belongs to
  models/NAME/seed_N/           checkpoints, metrics.csv, TensorBoard events
  studies/NAME.npz, NAME.json   what each study measured
  seconds.json                  how long each stage has taken, over all runs
  report.html, figures/, data/  what people read, and its numbers, the claims' verdicts among them

What is there is recognised by the part of the config that it follows from, which is kept with it.
"""

import contextlib
import functools
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from robust_saliency import data, report, studies
from robust_saliency.attacks.registry import norm_of
from robust_saliency.core import checks, files
from robust_saliency.data import Dataset
from robust_saliency.provenance import provenance
from robust_saliency.studies import ClaimResult, StudyResult
from robust_saliency.studies import workdir as workdirs
from robust_saliency.studies.diverged import run_without_diverged
from robust_saliency.studies.seeds import distinct_seeds, refuse_copies
from robust_saliency.studies.workdir import WorkdirError
from robust_saliency.training import (
  Network,
  Recipe,
  TrainedNetwork,
  begun_together,
  divergence,
  interruption,
  probe_metrics,
  read_metrics,
  sweeps,
  train_many,
  trained_together_by_default,
  training_order,
)
from robust_saliency.training.metrics import CSV_NAME
from robust_saliency.training.progress import duration

FIELDS = ("title", "summary", "scale", "dataset", "seeds", "models", "studies", "claims")
REQUIRED = ("title", "dataset", "seeds", "models")

__all__ = ["Experiment", "WorkdirError", "finished", "first_of_each"]


class Experiment:
  """A config, read and checked; nothing has been computed yet.

  Args:
    config: the fields `FIELDS`: a title and a summary; the scale's name; the data set
      {"name": ...}; the seeds; the models, studies and claims by name.
    workdir: where everything goes.
    data_dir: where TFDS's prepared sets lie; None for TFDS_DATA_DIR or TFDS's default.
    rerun_changed: makes a directory of another config this one's, keeping what has not changed.
    together: whether networks that differ in seed or in their terms' weights are trained as one
      program; None for yes, except on CPU, where that is slower.

  Raises:
    ValueError, TypeError: for anything in the config that does not exist or is not allowed.
    FileNotFoundError: if the data set is not there.
    WorkdirError: if the directory cannot be used.
  """

  def __init__(
    self,
    config: Mapping[str, Any],
    workdir: Path,
    *,
    data_dir: str | None = None,
    rerun_changed: bool = False,
    together: bool | None = None,
  ):
    self.config, self.workdir = _plain(config), workdir.absolute()
    for field in self.config:
      checks.one_of(field, FIELDS, argument="field of the config")
    for field in REQUIRED:
      if not self.config.get(field):
        raise ValueError(f"the config needs the field {field!r}, got {', '.join(self.config)}")
    self.seeds = distinct_seeds(self.config["seeds"])
    for field in ("models", "studies", "claims", "dataset"):
      checks.mapping(**{field: self.config.get(field, {})})
    for field in ("models", "studies"):
      _refuse_one_folder_for_two(self.config.get(field, {}), field)
    recipes = {}
    for name, settings in self.config["models"].items():
      with _explained(f"model {name!r}"):
        recipes[name] = Recipe.from_config(settings)
    self._training_order = training_order(recipes)
    refuse_copies(recipes, self.seeds)
    self._together, self._sweeps = together, sweeps(recipes)
    self._study_settings = self.config.get("studies", {})
    self._claims = self.config.get("claims", {})
    self.dataset = _load_dataset(self.config["dataset"], data_dir)
    self.networks = {}
    for name, recipe in recipes.items():
      with _explained(f"model {name!r}"):
        self.networks[name] = Network(name, recipe, self.dataset)
        self.networks[name].check()
    with _explained("studies"):
      self._families = studies.families_of(self._study_settings)
    modules = {name: network.module for name, network in self.networks.items()}
    candidates = {
      family: list(self._study_settings[study]["families"][family])
      for family, study in self._families.items()
    }
    for name, settings in self._study_settings.items():
      with _explained(f"study {name!r}"):
        studies.check_study(settings, modules, self.dataset, families=candidates)
    names = [*recipes, *self._families]
    probed = {name: probe_metrics(recipe.probe) for name, recipe in recipes.items()}
    for name, claim in self._claims.items():
      with _explained(f"claim {name!r}"):
        studies.check_claim(claim, self._study_settings, names, self.seeds, probed=probed)
    with workdirs.in_use(self.workdir):
      workdirs.claim(self.workdir, self.config, rerun_changed=rerun_changed)

  def run(self, *, command: str) -> Path:
    """Does whatever is missing, and returns the report's path.

    Args:
      command: the command line, repeated in the report.

    Returns:
      The path of `report.html`.

    Raises:
      RuntimeError: if there is more than one process.
      WorkdirError: if another run is using the directory, or has claimed it for another config.
      StoppedError: if a signal has asked for it; whatever is finished is saved.
    """
    if jax.process_count() > 1:
      raise RuntimeError(
        f"an experiment runs in one process, over all its devices, got {jax.process_count()}; "
        "over several, train with robust_saliency.training.train, whose steps they share"
      )
    with workdirs.in_use(self.workdir):
      workdirs.claim(self.workdir, self.config)
      results = self.study(self.train())
      return self.report(results, self.judge(results), command=command)

  def train(self) -> dict[str, list[TrainedNetwork]]:
    """Trains what is missing: name -> one network per seed.

    One that diverges is recorded as such and the others go on; see `TrainedNetwork.diverged`.
    """
    trained: dict[str, list[TrainedNetwork]] = {}
    together = trained_together_by_default() if self._together is None else self._together
    for name in self._training_order:
      network = self.networks[name]
      if together:
        self._train_sweep(name, trained)
      trained[name] = []
      for s, seed in enumerate(self.seeds):
        interruption.check(f"{name}, seed {seed} is next")
        needed = self._needed(name, s, trained)
        directory, began = self._model_directory(name, seed), time.monotonic()
        before = _content(directory / CSV_NAME)
        identity = workdirs.model_identity(self.config, name)
        trained[name].append(network.train(seed, directory, **needed, identity=identity))
        # To read a network that is finished is no training.
        read = _content(directory / CSV_NAME) == before
        seconds = 0.0 if read else time.monotonic() - began
        workdirs.add_seconds(self.workdir, "training", seconds)
    return {name: trained[name] for name in self.networks}

  def _train_sweep(self, name: str, trained: Mapping[str, list[TrainedNetwork]]) -> None:
    """Trains this network with all that differ from it in seed or weights, as one program.

    Those that one program has begun go on in it; not those that have begun alone, or whose
    teacher has diverged. Each leaves what it would have left alone.
    """
    network, models, began = self.networks[name], self.workdir / "models", time.monotonic()
    sweep = next((sweep for sweep in self._sweeps if name in sweep), [])
    found = {
      str(self._model_directory(other, seed).relative_to(models)): (other, s)
      for other in sweep
      for s, seed in enumerate(self.seeds)
    }
    identities = {
      folder: workdirs.model_identity(self.config, other) for folder, (other, _) in found.items()
    }
    names = begun_together(models, identities)
    if not names:
      names = [
        folder
        for folder, (other, s) in found.items()
        if not any((models / folder / "checkpoints").glob("step_*"))
        and not divergence.recorded(models / folder, identity=identities[folder])
        and not _teacher_diverged(self._needed(other, s, trained))
      ]
      if len(names) < 2:
        return
    interruption.check(f"{len(names)} networks, {name} among them, are next")
    members = [
      self.networks[other].as_member(
        self.seeds[s], folder, **self._needed(other, s, trained), identity=identities[folder]
      )
      for folder in names
      for other, s in [found[folder]]
    ]
    train_many(
      network.step_of_weights,
      members,
      {"x": self.dataset.train.x, "y": self.dataset.train.y},
      steps=network.recipe.total_steps(len(self.dataset.train)),
      directory=models,
      together=True,
      log_every=network.recipe.log_every,
      checkpoint_every=network.recipe.checkpoint_every,
    )
    workdirs.add_seconds(self.workdir, "training", time.monotonic() - began)

  def _needed(
    self, name: str, s: int, trained: Mapping[str, list[TrainedNetwork]]
  ) -> dict[str, TrainedNetwork]:
    """The teacher and the source of a network with the s-th seed."""
    needs = self.networks[name].recipe.needs
    return {role: trained[other][s] for role, other in needs.items()}

  def study(self, trained: Mapping[str, list[TrainedNetwork]]) -> dict[str, StudyResult]:
    """Runs the studies that are missing, and reads the others.

    Those that choose networks come first: later ones find the chosen under their family's name.
    The numbers of networks that have diverged are NaN; a study without any other is left out.
    """
    results = {}
    networks = dict(trained)
    stand_ins = {
      name: [self.networks[name].untrained(one.seed) if one.diverged else one for one in of_seeds]
      for name, of_seeds in trained.items()
    }
    selections = self._families.values()
    chosen_first = sorted(self._study_settings, key=lambda name: name not in selections)
    for name in chosen_first:
      settings = self._study_settings[name]
      interruption.check(f"study {name} is next")
      began = time.monotonic()
      identity = workdirs.study_identity(self.config, name)
      result = studies.load_result(name, self._studies_directory, identity=identity)
      read = result is not None
      if result is None:
        models = workdirs.networks_of(self.config, name)
        result = run_without_diverged(
          functools.partial(
            studies.run_study,
            name,
            settings,
            dataset=self.dataset,
            key=jax.random.key(0),
            seeds=self.seeds,
            about=self._training_attacks(),
          ),
          settings["kind"],
          {model: networks[model] for model in models},
          {model: stand_ins[model] for model in models},
        )
        if result is None:
          for family, candidates in settings.get("families", {}).items():
            networks[family] = networks[next(iter(candidates))]
            stand_ins[family] = stand_ins[next(iter(candidates))]
          continue
        studies.save_result(result, self._studies_directory, identity=identity)
      results[name] = result
      for family, candidate in result.facts.get("chosen", {}).items():
        networks[family], stand_ins[family] = networks[candidate], stand_ins[candidate]
      seconds = time.monotonic() - began
      workdirs.add_seconds(self.workdir, f"study {name}", 0.0 if read else seconds)
      print(f"study {name}: done in {duration(seconds)}", file=sys.stderr)
    return {name: results[name] for name in self._study_settings if name in results}

  def judge(self, results: Mapping[str, StudyResult]) -> list[ClaimResult]:
    """Judges the claims by the studies' results and the curves of training.

    A claim that names a network which has diverged, or a study of such alone, is undecided.
    """
    examples = {name: network.recipe.probe_examples for name, network in self.networks.items()}
    curves = studies.training_curves(self._training_rows(), self.seeds, examples=examples)
    results, scale = {**results, curves.name: curves}, self.config.get("scale", "")
    diverged = {name for name, _ in self._diverged()} | {
      name for name in self._study_settings if name not in results
    }
    for result in results.values():
      diverged |= {f for f, name in result.facts.get("chosen", {}).items() if name in diverged}
      diverged |= {f for f, of in result.facts.get("families", {}).items() if diverged & set(of)}
    return [
      studies.undecided_claim(claim, scale=scale)
      if diverged & _named(claim.get("measure", {}))
      else studies.judge_claim(claim, results, scale=scale)
      for claim in self._claims.values()
    ]

  def report(
    self,
    results: Mapping[str, StudyResult],
    claims: list[ClaimResult],
    *,
    command: str,
  ) -> Path:
    """Writes the report and returns its path."""
    return report.write(
      self.workdir,
      title=self.config["title"],
      command=command,
      summary=" ".join([self.config.get("summary", ""), *self._words_of_diverged()]).strip(),
      claims=claims,
      results=list(results.values()),
      training=self._training_rows(),
      run=provenance(self.config, workdirs.seconds_of_stages(self.workdir)),
    )

  def _training_rows(self) -> dict[str, list[dict[str, Any]]]:
    """The rows of every network's training, by model."""
    return {
      name: [
        {"seed": seed, **row}
        for seed in self.seeds
        for row in read_metrics(self._model_directory(name, seed))
      ]
      for name in self.networks
    }

  def _diverged(self) -> dict[tuple[str, int], str]:
    """(Model, seed) of each network that has diverged, and why."""
    reasons = {
      (name, seed): divergence.recorded(
        self._model_directory(name, seed), identity=workdirs.model_identity(self.config, name)
      )
      for name in self.networks
      for seed in self.seeds
    }
    return {network: reason for network, reason in reasons.items() if reason}

  def _words_of_diverged(self) -> list[str]:
    return [
      f"The training of {name}, seed {seed}, has diverged ({reason}): its numbers are missing "
      "(n/a), and claims about it are undecided."
      for (name, seed), reason in self._diverged().items()
    ]

  def _training_attacks(self) -> dict[str, dict[str, Any]]:
    """The radius and the norm that each network was trained against, None for no attack."""
    attacks = {
      name: network.recipe.objective.get("adversarial", {}).get("attack", {})
      for name, network in self.networks.items()
    }
    return {
      "training_epsilons": {name: attack.get("epsilon") for name, attack in attacks.items()},
      "training_norms": {
        name: norm_of(attack) if attack else None for name, attack in attacks.items()
      },
    }

  def _model_directory(self, name: str, seed: int) -> Path:
    return self.workdir / "models" / files.slug(name) / f"seed_{seed}"

  @property
  def _studies_directory(self) -> Path:
    return self.workdir / "studies"


def first_of_each(
  trained: Mapping[str, list[TrainedNetwork]], models: Sequence[str] = ()
) -> dict[str, TrainedNetwork]:
  """The first seed's networks by name: those of these models, or all that have not diverged.

  Raises:
    ValueError: if one of these models has diverged.
  """
  for name in models or trained:
    if why := trained[name][0].diverged:
      if models:
        raise ValueError(f"models must have been trained to their end, {name!r} diverged: {why}")
      print(f"{name} is left out, its training has diverged: {why}", file=sys.stderr)
  return {name: trained[name][0] for name in models or trained if not trained[name][0].diverged}


def finished(workdir: Path, *, data_dir: str | None = None) -> Experiment:
  """The experiment that has been run in this directory.

  Args:
    workdir: the directory.
    data_dir: where TFDS's prepared sets lie.

  Raises:
    FileNotFoundError: if the directory holds no finished experiment, or the data set is missing.
  """
  if not (workdir / "report.html").exists() or not (workdir / workdirs.CONFIG_NAME).exists():
    raise FileNotFoundError(
      f"workdir {workdir} holds no finished experiment; run python -m robust_saliency.main first"
    )
  config = json.loads((workdir / workdirs.CONFIG_NAME).read_text())
  return Experiment(config, workdir, data_dir=data_dir)


def _content(path: Path) -> bytes:
  return path.read_bytes() if path.exists() else b""


def _teacher_diverged(needed: Mapping[str, TrainedNetwork]) -> bool:
  return "teacher" in needed and bool(needed["teacher"].diverged)


def _named(measure: Mapping[str, Any]) -> set[str]:
  """All names in a claim's measure, of networks among others."""
  texts = [value for value in measure.values() if isinstance(value, str)]
  lists = [value for value in measure.values() if isinstance(value, (list, tuple))]
  return {*texts, *(one for values in lists for one in values if isinstance(one, str))}


def _refuse_one_folder_for_two(names: Mapping[str, Any], field: str) -> None:
  taken: dict[str, str] = {}
  for name in names:
    other = taken.setdefault(files.slug(name), name)
    if other != name:
      raise ValueError(f"{field} {other!r} and {name!r} would share a folder; rename one of them")


def _load_dataset(settings: Mapping[str, Any], data_dir: str | None) -> Dataset:
  settings = dict(settings)
  for field in settings:
    checks.one_of(field, ("name", "bounds", "validation"), argument="field of dataset")
  if "name" not in settings:
    raise ValueError(f"dataset needs a name, one of {', '.join(data.names())}")
  dataset = data.load(settings["name"], data_dir=data_dir, bounds=settings.get("bounds"))
  held_out = settings.get("validation", 0)
  return data.hold_out(dataset, held_out) if held_out else dataset


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
  """Says in which entry of the config an error lies."""
  try:
    yield
  except (ValueError, TypeError) as error:
    raise ValueError(f"{where}: {error}") from error


def _plain(config: Any) -> Any:
  """A config as dicts, lists, numbers and strings."""
  if isinstance(config, Mapping) or hasattr(config, "items"):
    return {str(name): _plain(value) for name, value in config.items()}
  if isinstance(config, (list, tuple)):
    return [_plain(value) for value in config]
  return config
