"""A plan: a config read and checked, as stages; nothing has been computed or written yet."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax

from robust_saliency.attacks.registry import norm_of
from robust_saliency.core import checks, files
from robust_saliency.core.settings import read
from robust_saliency.pipeline.checked import Checked
from robust_saliency.pipeline.needs import (
  MODEL,
  check_choices,
  check_maps,
  check_studies,
  deciding,
  entries_in_order,
  with_classes,
)
from robust_saliency.pipeline.seeds import (
  distinct_seeds,
  refuse_copies,
  refuse_missing_seeds,
  seeds_of_each,
  seeds_of_study,
)
from robust_saliency.pipeline.settings import ExperimentSettings, load_dataset, plain_config
from robust_saliency.pipeline.stage import stages_in_order
from robust_saliency.pipeline.stages import DATA, DataStage, StudyStage, TrainingStage
from robust_saliency.pipeline.tables import Tables
from robust_saliency.results.result import Layout
from robust_saliency.results.trends import TRENDS, trends_layout
from robust_saliency.studies import Study, read_study
from robust_saliency.studies import training as training_curves
from robust_saliency.studies.selection import Selection, chosen_by
from robust_saliency.studies.target_maps import TargetMaps
from robust_saliency.training import Network, Recipe, probe_metrics, sweeps, training_order


class Plan:
  """The stages of an experiment.

  Args:
    config: the fields of `ExperimentSettings`.
    folder: where the config's tables lie.
    data_dir: where TFDS's prepared sets lie; None for TFDS_DATA_DIR or TFDS's default.
    networks_alone: leaves out claims, and the studies that do not decide what a network is.
    checked: the plans that have been traced before, where they are kept; this one is then traced
      only if it is none of them.

  Attributes:
    config: as plain data.
    settings: the config, read.
    dataset: what it is about.
    networks: model -> its recipe made ready for the data set, in the order of the config.
    data: the data set as a stage.
    trainings: model -> its trainings, one per seed, each model after what it needs.
    studies: study -> its stage, in the order of the config.
    stages: all of these in the order in which they are computed, each after what it needs.
    sweeps: models that one program can train together.
    tables: the claims, and the paper's numbers.

  Raises:
    ValueError, TypeError: for anything in the config that does not exist or is not allowed.
    FileNotFoundError: if the data set or a table is not there.
    RuntimeError: if there is more than one process.
  """

  def __init__(
    self,
    config: Mapping[str, Any],
    *,
    folder: Path,
    data_dir: str | None = None,
    networks_alone: bool = False,
    checked: Checked | None = None,
  ):
    if jax.process_count() > 1:
      raise RuntimeError(
        f"an experiment runs in one process, over all its devices, got {jax.process_count()}; "
        "over several, train with robust_saliency.training.train, whose steps they share"
      )
    self.config = plain_config(config)
    if networks_alone and isinstance(self.config, dict):
      self.config |= {"claims": [], "published": None}
    self.settings: ExperimentSettings = read(ExperimentSettings, self.config, "config")
    self.seeds = tuple(distinct_seeds(self.config["seeds"]))
    for field in ("models", "studies"):
      _refuse_one_folder_for_two(getattr(self.settings, field), field)
    if DATA in self.settings.models:
      raise ValueError(f"config.models must not have the name {DATA!r}, that of the data set")
    if not self.settings.models:
      raise ValueError("config.models must have at least one entry, got none")
    recipes = {}
    for name, settings in self.config["models"].items():
      with _explained(f"model {name!r}"):
        recipes[name] = Recipe.from_config(settings)
    self._recipes, self._order = recipes, training_order(recipes)
    self._seeds_of = seeds_of_each(recipes, self.seeds)
    refuse_copies(recipes, self._seeds_of)
    self.sweeps = sweeps(recipes)
    # Before anything is traced.
    given = self.config.get("studies", {})
    wanted = deciding(given, recipes) if networks_alone else given
    studies = {name: read_study(name, given[name]) for name in given if name in wanted}
    check_choices(recipes, studies)
    check_maps(recipes, studies)
    check_studies(recipes, studies)
    entries = entries_in_order(recipes, studies, chosen_by(studies, recipes))
    with checks.naming("config.dataset"):
      self.dataset = load_dataset(self.settings.dataset, data_dir)
    self._traced = checked is None or not checked.has(self.config, self.dataset)
    self.networks = {name: self._make_network(name, recipe) for name, recipe in recipes.items()}
    self.data = DataStage(self.dataset)
    self.trainings: dict[str, list[TrainingStage]] = {}
    self._families: dict[str, StudyStage] = {}
    self._late = _that_follow_from_choices(recipes, self._order)
    stages: dict[str, StudyStage] = {}
    for kind, name in entries:
      if kind == MODEL:
        self._add_trainings(name, stages)
      else:
        stages[name] = self._study_stage(name, studies[name], stages)
    self.studies = {name: stages[name] for name in studies}
    in_turn = [
      stage
      for kind, name in entries
      for stage in (self.trainings[name] if kind == MODEL else [stages[name]])
    ]
    self.stages = [
      stage for stage in stages_in_order(in_turn) if isinstance(stage, (TrainingStage, StudyStage))
    ]
    self.tables = Tables(
      self.settings.claims,
      self.settings.published,
      folder=folder,
      dataset=self.dataset.name,
      scale=(self.settings.scale or "").split(",")[0],
      networks=[*self.networks, *self._families],
      layouts=self.layouts(),
    )
    if checked is not None and self._traced:
      checked.add(self.config, self.dataset)

  def layouts(self) -> dict[str, Layout]:
    """Study -> the axes of the arrays that it will give; the curves of training among them."""
    layouts = {
      name: stage.study.layout(tuple(stage.networks), stage.seeds, self.dataset)
      for name, stage in self.studies.items()
    }
    probed = {
      name: metrics
      for name, one in self.networks.items()
      if (metrics := probe_metrics(one.recipe.probe))
    }
    names = tuple(dict.fromkeys(name for of_one in probed.values() for name in of_one))
    curves = training_curves.curves_layout(names, tuple(probed), self.seeds)
    return {**layouts, training_curves.TRAINING: curves, TRENDS: trends_layout(curves)}

  def _add_trainings(self, name: str, studies: Mapping[str, StudyStage]) -> None:
    recipe = self.networks[name].recipe
    makers = {of_map: studies[one.study] for of_map, one in recipe.map_settings.items()}
    for of_map, maker in makers.items():
      # Maps that no network has made are those of every seed.
      if maker.networks and (missing := set(self._seeds_of[name]) - set(maker.seeds)):
        raise ValueError(
          f"model {name!r}: maps.{of_map}.study {maker.title!r} must make maps of all of its seeds "
          f"{self._seeds_of[name]}, {sorted(missing)} are missing"
        )
    self.trainings[name] = [
      TrainingStage(
        self.networks[name],
        seed,
        self.data,
        {role: self._training(other, seed) for role, other in recipe.needs.items()},
        {family: self._families[family] for family in (recipe.choices or {}).values()},
        makers,
      )
      for seed in self._seeds_of[name]
    ]

  def _training(self, name: str, seed: int) -> TrainingStage:
    return next(stage for stage in self.trainings[name] if stage.seed == seed)

  def _make_network(self, name: str, recipe: Recipe) -> Network:
    with _explained(f"model {name!r}"):
      network = Network(name, recipe, self.dataset)
      if self._traced:
        network.check()
    return network

  def _study_stage(self, name: str, study: Study, before: Mapping[str, StudyStage]) -> StudyStage:
    """A study as a stage, whose families those that come later may name.

    It is checked, by tracing alone.
    """
    with _explained(f"study {name!r}"):
      # A model that has a family's name has its number, too, and stands for it.
      known: dict[str, Any] = {**self._families, **self.trainings}
      networks = study.networks(with_classes(self._recipes))
      for network in networks:
        checks.one_of(network, known, argument=f"{_field_of(study, network)} of a study")
        without = network in self._recipes and not self._recipes[network].has_classes
        if without and network not in study.without_classes():
          raise ValueError(f"network {network!r} of a study must have classes")
      modules = self._modules(networks)
      if self._traced:
        study.check(modules, self.dataset)
      study.check_training({n: self.networks[n].recipe for n in modules if n in self.networks})
      seeds = seeds_of_study(study, {one: self._seeds(one) for one in networks}, self.seeds)
      others = {one: before[one] for one in study.needed_studies()}
      refuse_missing_seeds({one: of.seeds for one, of in others.items()}, seeds)
      stage = StudyStage(
        name,
        study,
        {
          network: of
          if isinstance(of, StudyStage)
          else [training for training in of if training.seed in seeds]
          for network in networks
          for of in [known[network]]
        },
        self._trainings_for(study, modules),
        self.data,
        seeds=seeds,
        metadata=self._training_attacks(),
        others=others,
      )
      if isinstance(study, Selection):
        if DATA in study.families:
          raise ValueError(f"the family {DATA!r} must not have the name of the data set")
        self._families |= dict.fromkeys(study.families, stage)
      return stage

  def _trainings_for(
    self, study: Study, own: Mapping[str, nn.Module]
  ) -> dict[str, list[TrainingStage]]:
    """The trainings that a study is told of; their imports, in this order, are in its identity."""
    if isinstance(study, TargetMaps):
      return {name: of for name, of in self.trainings.items() if name in own}
    late = [] if isinstance(study, Selection) else [n for n in self._order if n in self._late]
    names = [*(name for name in self._order if name not in self._late), *late]
    return {name: self.trainings[name] for name in names if name in self.trainings}

  def _seeds(self, network: str) -> list[int]:
    """Those that a network is trained with; a family those that all its candidates are."""
    if network in self.trainings:
      return self._seeds_of[network]
    candidates = self._families[network].study.families[network]  # type: ignore[attr-defined]
    return [s for s in self.seeds if all(s in self._seeds_of[one] for one in candidates)]

  def _modules(self, networks: tuple[str, ...]) -> dict[str, nn.Module]:
    """The modules of a study's networks; of a family those of all its candidates."""
    modules: dict[str, nn.Module] = {}
    for network in networks:
      if network in self.networks:
        modules[network] = self.networks[network].module
        continue
      for candidate in self._families[network].study.families[network]:  # type: ignore[attr-defined]
        module = self.networks[candidate].module
        modules |= {candidate: module, network: modules.get(network, module)}
    return modules

  def _training_attacks(self) -> dict[str, dict[str, Any]]:
    """The radius and the norm that each network was trained against, None for no attack."""
    attacks: dict[str, Mapping[str, Any]] = {
      name: next(
        (term["attack"] for term in network.recipe.objective.values() if term.get("attack")), {}
      )
      for name, network in self.networks.items()
    }
    return {
      "training_epsilons": {name: attack.get("epsilon") for name, attack in attacks.items()},
      "training_norms": {
        name: norm_of(attack) if attack else None for name, attack in attacks.items()
      },
    }


def _that_follow_from_choices(recipes: Mapping[str, Recipe], order: Sequence[str]) -> set[str]:
  """The models whose weights follow from a choice, and those that need one of them."""
  late: set[str] = set()
  for name in order:
    if recipes[name].choices or late & set(recipes[name].needs.values()):
      late.add(name)
  return late


def _refuse_one_folder_for_two(names: Mapping[str, Any], field: str) -> None:
  taken: dict[str, str] = {}
  for name in names:
    other = taken.setdefault(files.slug(name), name)
    if other != name:
      raise ValueError(f"{field} {other!r} and {name!r} would share a folder; rename one of them")


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
  """Says in which entry of the config an error lies."""
  try:
    yield
  except (ValueError, TypeError) as error:
    raise ValueError(f"{where}: {error}") from error


def _field_of(study: Study, network: str) -> str:
  """The field that names this network, other than `models`."""
  for field in dataclasses.fields(study):
    value = getattr(study, field.name)
    named = value == network or (isinstance(value, tuple) and network in value)
    if field.name != "models" and named:
      return field.name
  return "model"
