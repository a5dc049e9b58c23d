"""The stages of an experiment: its data set, a training for each model and seed, its studies."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from robust_saliency.core import checks, files, folders, registry
from robust_saliency.core.progress import Progress, counting
from robust_saliency.core.settings import plain
from robust_saliency.data import Dataset
from robust_saliency.data.dataset import digest_of_dataset
from robust_saliency.objectives import TERMS
from robust_saliency.pipeline.choices import chosen, chosen_number
from robust_saliency.pipeline.diverged import struck_out
from robust_saliency.pipeline.provenance import provenance
from robust_saliency.pipeline.stage import Done, Record, Stage, read_fingerprint
from robust_saliency.results.files import load_result, save_result
from robust_saliency.results.result import Result
from robust_saliency.studies import Study, run_study
from robust_saliency.studies.target_maps import maps_of_seed, open_maps
from robust_saliency.training import Network, TrainedNetwork

# The role of the data set among what a stage needs.
DATA = "data"

# The folder of the files that a study keeps beside its arrays.
KEPT = "kept"

# How often something is written changes no number, unless a recipe keeps what was. The others are
# in it otherwise: the offset in the seed, and by their contents the networks, choices and maps that
# a training needs.
NOT_IN_IDENTITY = (
  "log_every", "checkpoint_every", "seed_offset", "teacher", "seeds", "choices", "maps",
)  # fmt: skip


def folder_of_network(name: str, seed: int) -> Path:
  """Where a network lies in the directory of its experiment."""
  return Path("models") / files.slug(name) / f"seed_{seed}"


def origin_of_network(workdir: Path, name: str, seed: int) -> dict[str, Any]:
  """The fields by which what was found of a network tells which one, and of which training."""
  fingerprint = read_fingerprint(workdir / folder_of_network(name, seed))
  return {"model": name, "seed": seed, "network": fingerprint}


def folder_of_study(name: str) -> Path:
  """Where a study's results lie in the directory of its experiment."""
  return Path("studies") / files.slug(name)


class DataStage(Stage):
  """The data set, which is known by its content: the same name may stand for other images."""

  def __init__(self, dataset: Dataset):
    self.name, self.folder = f"data set {dataset.name}", Path()
    self.settings, self.needs = {"dataset": dataset.name}, {}
    self.dataset = dataset

  def done(self) -> Done:
    """Nothing has to be computed."""
    record = Record("", self._digest, {}, 0.0, provenance())
    return Done(self.dataset, record, computed=False)

  def run(self, needs: Mapping[str, tuple[Any, ...]], directory: Path, identity: str) -> None:
    """See `Stage.run`."""

  def read(self, directory: Path, identity: str) -> Dataset:
    """See `Stage.read`."""
    return self.dataset

  def content(self, result: Dataset) -> str:
    """See `Stage.content`."""
    return self._digest

  @functools.cached_property
  def _digest(self) -> str:
    return digest_of_dataset(self.dataset)


class TrainingStage(Stage):
  """The training of one model with one seed.

  Args:
    network: the model, made ready for its data set.
    seed: the experiment's.
    data: the data set.
    needs: "teacher" and "source" -> the training of that model with this seed.
    choices: family -> the study that chooses it, of a recipe with `choices`.
    maps: name of a map -> the study that makes it, of a recipe with `maps`.
    found: name of a map -> its file and the file's digest, None where its teacher has diverged;
      once they are made.
  """

  def __init__(
    self,
    network: Network,
    seed: int,
    data: DataStage,
    needs: Mapping[str, "TrainingStage"],
    choices: Mapping[str, "StudyStage"] | None = None,
    maps: Mapping[str, "StudyStage"] | None = None,
    found: Mapping[str, tuple[Path, str] | None] | None = None,
  ):
    self._data, self._others, self._choices = data, needs, choices or {}
    self._maps, self._found = maps or {}, found or {}
    self.network, self.seed = network, seed
    self.name = f"training {network.name}, seed {seed}"
    self.folder = folder_of_network(network.name, seed)
    terms = [TERMS[name].version for name in network.recipe.objective]
    versions = [*terms, network.trainer.version]
    self.version = 1 + sum(version - 1 for version in versions)  # type: ignore[misc]
    recipe = plain(network.recipe)
    left_out = {*NOT_IN_IDENTITY} - ({"checkpoint_every"} if recipe["snapshots"] else set())
    for field in ("snapshots", "steps_per_call", "trainer_settings"):
      if recipe[field] is None:
        recipe.pop(field)
    self.settings = {
      "recipe": {name: value for name, value in recipe.items() if name not in left_out},
      "seed": seed + network.recipe.seed_offset,
    }
    self.settings |= _imported(self.settings)
    for name, settings in network.recipe.map_settings.items():
      # Known by their content, whatever their study is called and whichever other seeds it has.
      of_map = {field: value for field, value in plain(settings).items() if field != "study"}
      digest = None if (file := self._found.get(name)) is None else file[1]
      self.settings.setdefault("maps", {})[name] = {**of_map, "sha256": digest}
    self.needs = {DATA: (data,), **{role: (stage,) for role, stage in needs.items()}}
    self.needs |= {f"maps of {name}": (stage,) for name, stage in self._maps.items()}
    self.needs |= {f"choice of {family}": (stage,) for family, stage in self._choices.items()}

  def settled(self, done: Mapping[Stage, Done]) -> "TrainingStage":
    """The training with the weights that follow from its choices, and with its maps."""
    if not self._choices and not self._maps:
      return self
    numbers = {
      term: chosen_number(self._choices[family], family, done)
      for term, family in (self.network.recipe.choices or {}).items()
    }
    network = self.network.weighted(numbers) if numbers else self.network
    found = {name: maps_of_seed(done[of].result, self.seed) for name, of in self._maps.items()}
    return TrainingStage(network, self.seed, self._data, self._others, found=found)

  @property
  def hindered(self) -> str:
    """Why it cannot be run, once it is settled; "" where it can."""
    lost = [name for name, file in self._found.items() if file is None]
    return f"the teacher of its maps {checks.listed(lost)} has diverged" if lost else ""

  def maps(self) -> dict[str, np.ndarray] | None:
    """Its maps, once it is settled; None where it needs none, or has lost one.

    Raises:
      DamagedFileError: if a file is not what was made.
    """
    files_of = {name: file for name, file in self._found.items() if file is not None}
    if not files_of or self.hindered:
      return None
    return {name: open_maps(path, digest) for name, (path, digest) in files_of.items()}

  def run(self, needs: Mapping[str, tuple[Any, ...]], directory: Path, identity: str) -> None:
    """See `Stage.run`."""
    roles = {role: of_role[0] for role, of_role in needs.items() if role != DATA}
    self.network.train(
      self.seed,
      directory,
      **roles,
      maps=self.maps(),
      hindered=self.hindered,
      identity=identity,
    )

  def read(self, directory: Path, identity: str) -> TrainedNetwork | None:
    """See `Stage.read`."""
    return self.network.read(self.seed, directory, identity=identity)

  def content(self, result: TrainedNetwork) -> str:
    """See `Stage.content`."""
    return result.digest


class StudyStage(Stage):
  """One study.

  Args:
    name: what the config calls it.
    study: its settings.
    networks: network -> its trainings, one per seed, in the order of the study's axis; for a family
      instead the choice that says which network bears its name.
    trainings: every model's trainings.
    data: the data set.
    metadata: what the page is told of the networks.
    others: the studies that it needs, by name.
  """

  def __init__(
    self,
    name: str,
    study: Study,
    networks: Mapping[str, "Sequence[TrainingStage] | StudyStage"],
    trainings: Mapping[str, Sequence[TrainingStage]],
    data: DataStage,
    *,
    seeds: tuple[int, ...],
    metadata: Mapping[str, Any],
    others: Mapping[str, "StudyStage"] | None = None,
  ):
    self.study, self.networks, self.trainings = study, networks, trainings
    self._others = {f"result of {name}": (stage,) for name, stage in (others or {}).items()}
    self.version = study.version  # type: ignore[misc]
    self.name, self.title = f"study {name}", name
    self.folder = folder_of_study(name)
    self.seeds, self.metadata, self._data = seeds, metadata, data
    self.settings = {
      "kind": study.kind,
      "study": {name: value for name, value in plain(study).items() if name != "seeds"},
      "networks": list(networks),
      "seeds": seeds,
    }
    # What a network of one's own does in evaluation is in none of its numbers.
    architectures = [plain(of[0].network.recipe.architecture) for of in trainings.values()]
    self.settings |= _imported({**self.settings, "architectures": architectures})
    self.needs = {DATA: (data,)}
    for network, of_network in networks.items():
      if isinstance(of_network, StudyStage):
        family = of_network.study.families[network]  # type: ignore[attr-defined]
        candidates = [stage for one in family for stage in self._of_seeds(trainings[one])]
        self.needs |= {f"choice of {network}": (of_network,), network: tuple(candidates)}
      else:
        self.needs |= {network: tuple(of_network)}
    self.needs |= self._others

  def resolved(self, done: Mapping[Stage, Done]) -> Mapping[str, tuple[Stage, ...]]:
    """The stages that it really uses: of a family the network that was chosen."""
    found: dict[str, tuple[Stage, ...]] = {DATA: (self._data,)}
    for network, of_network in self.networks.items():
      if isinstance(of_network, StudyStage):
        of_network = self._of_seeds(self.trainings[chosen(of_network, network, done)])
      found[network] = tuple(of_network)
    return {**found, **self._others}

  def _of_seeds(self, stages: Sequence[TrainingStage]) -> list[TrainingStage]:
    return [stage for stage in stages if stage.seed in self.seeds]

  def diverged(self, done: Mapping[Stage, Done]) -> bool:
    """Whether no network is left that could be measured, here or by a study that it needs."""
    if self.study.keeps_files:  # it says so itself, to those who need them
      return False
    if any(one not in done for of in self._others.values() for one in of):
      return True
    of_networks = [of for role, of in self.resolved(done).items() if role in self.networks]
    stages = [one for of in of_networks for one in of]
    if self.study.shows_images:
      stages = [of[0] for of in of_networks]
    return all(done[one].result.diverged for one in stages)

  def run(self, needs: Mapping[str, tuple[Any, ...]], directory: Path, identity: str) -> None:
    """See `Stage.run`."""
    networks = {name: list(of_name) for name, of_name in needs.items() if name in self.networks}
    if self.study.shows_images:
      networks = {name: of for name, of in networks.items() if not of[0].diverged}
    by_module = {one.network.module: one.network for of in self.trainings.values() for one in of}
    stand_ins = {
      name: [by_module[one.module].untrained(one.seed) if one.diverged else one for one in of_name]
      for name, of_name in networks.items()
    }
    keeps, kept = self.study.keeps_files, self._kept(directory, identity)
    with counting(Progress(self.name, None, unit="images")):
      result = run_study(
        self.title,
        self.study,
        networks if keeps else stand_ins,
        needs[DATA][0],
        key=jax.random.key(0),
        seeds=self.seeds,
        directory=kept if keeps else directory / "partial" / identity[:16],
        metadata=self.metadata,
        results={needs[role][0].name: needs[role][0] for role in self._others},
      )
    measured = result if keeps else struck_out(result, networks)
    if measured is not result:
      measured = self.study.after_divergence(measured, networks)
    save_result(measured, directory, identity=identity)
    for other in [directory / "partial", *(directory / KEPT).glob("*")]:
      if other != kept:
        folders.remove_tree(other)

  def read(self, directory: Path, identity: str) -> Result | None:
    """See `Stage.read`."""
    found = load_result(directory, identity=identity)
    # Its name is part of its key.
    if found is None or found.name != self.title:
      return None
    kept = self._kept(directory, identity) if self.study.keeps_files else None
    return dataclasses.replace(found, folder=kept)

  def is_whole(self, result: Result) -> bool:
    """See `Stage.is_whole`."""
    return self.study.is_whole(result)

  @staticmethod
  def _kept(directory: Path, identity: str) -> Path:
    return directory / KEPT / identity[:16]

  def content(self, result: Result) -> str:
    """See `Stage.content`."""
    parts = [files.json_text(result.metadata)]
    parts += [
      f"{name} {files.digest_of_array(array)}" for name, array in sorted(result.arrays.items())
    ]
    return files.digest("\n".join(parts).encode())


def _imported(settings: Mapping[str, Any]) -> dict[str, Any]:
  """The digests of the imported files that the settings name something of."""
  origins = registry.origins_of(settings)
  return {"imported": origins} if origins else {}
