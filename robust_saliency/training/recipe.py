"""A model's entry in a config: what is trained, how, and for how long."""

import dataclasses
import graphlib
from collections.abc import Mapping
from typing import Any

from robust_saliency.core import checks
from robust_saliency.core.binding import settings_of
from robust_saliency.core.settings import read
from robust_saliency.objectives.terms import TERMS, needed
from robust_saliency.training.map_settings import MapSettings
from robust_saliency.training.order import steps_per_epoch
from robust_saliency.training.probe import check_probe

# Trainers whose networks have no logits: only studies that ask for one by name are handed it.
WITHOUT_CLASSES = ("vae_gan",)
EARLY_STOPPING = ("split", "attack", "every", "first", "patience", "batch_size")
SELECTING = ("validation", "test")


@dataclasses.dataclass(frozen=True)
class Recipe:
  """A model's entry in a config.

  Attributes:
    architecture: {"name": ..., fields of that module}.
    objective: terms and their settings, see `objectives.weighted_sum`; {} for a trainer with losses
      of its own.
    optimizer: {"name": ..., "learning_rate": ..., ...}.
    batch_size: examples per step over all devices.
    epochs: passes over the training set; give these or `steps`.
    steps: steps of training.
    shuffle: False keeps the data set's order in every epoch.
    augmentation: {"padding": ..., "flip_probability": ...} of `data.crop_and_flip`; None for none.
    averaging: d of the moving average a <- d a + (1 - d) w of the parameters (0.999, say), which
      the trained network has; None for none.
    early_stopping: returns the state with the highest accuracy on the validation split, not the
      last one. {"attack": an attack's settings, for the accuracy under it; "every": epochs between
      evaluations, 1; "first": epochs before the first one, 0; "patience": evaluations without a
      higher accuracy that end the training, None; "batch_size": 1000; "split": "validation", or
      "test" where a paper chose so, which makes its test accuracy too high}, each of them optional.
    teacher: the model whose probabilities are the labels that terms of the objective need.
    maps: name of a map that terms of the objective need -> the fields of `MapSettings`: which study
      of the experiment makes it, and what is done to it.
    probe: measures the network on the validation split while it is trained, see
      `probe.make_measure`. {"every": steps between measurements, 100; "examples": how many images,
      512; "source": another model of the experiment, for the accuracy on FGSM's images crafted
      on it, None; "epsilon": the radius of that step, 0.2; "white_box": the radius of FGSM
      through the network itself, None}, each of them optional.
    seed_offset: added to the experiment's seeds in this model's training; larger than the seeds
      lie apart, it makes another network of the same recipe.
    seeds: those of the experiment's seeds that it is trained with; None for all.
    choices: terms whose weight follows from a choice -> the family of a selection. The weight is
      multiplied by the number of the candidate that is chosen for the family.
    trainer: what trains it, one of `trainers.TRAINERS`.
    trainer_settings: the settings of a trainer that has any, see `vae_gan.Settings`.
    log_every: steps between rows of metrics.
    checkpoint_every: steps between checkpoints.
    snapshots: how many checkpoints stay for studies that compare them, the last one among them;
      None for as many as a run needs to resume.
    steps_per_call: how many steps one call of an accelerator takes at most, see
      `map_over_devices`; None for what the machine is best at. A number is the network's own:
      another one rounds sums otherwise.
  """

  architecture: Mapping[str, Any]
  objective: Mapping[str, Mapping[str, Any]]
  optimizer: Mapping[str, Any]
  batch_size: int
  epochs: int | None = None
  steps: int | None = None
  shuffle: bool = True
  augmentation: Mapping[str, Any] | None = None
  averaging: float | None = None
  early_stopping: Mapping[str, Any] | None = None
  teacher: str | None = None
  maps: Mapping[str, Mapping[str, Any]] | None = None
  probe: Mapping[str, Any] | None = None
  seed_offset: int = 0
  seeds: tuple[int, ...] | None = None
  choices: Mapping[str, str] | None = None
  trainer: str = "classifier"
  trainer_settings: Mapping[str, Any] | None = None
  log_every: int = 50
  checkpoint_every: int = 1000
  snapshots: int | None = None
  steps_per_call: int | None = None

  @classmethod
  def from_config(cls, settings: Mapping[str, Any]) -> "Recipe":
    """Reads a config's entry.

    Raises:
      ValueError: for a missing or unknown field, or numbers that are not allowed.
    """
    checks.mapping(**{"a model": settings})
    fields = [field.name for field in dataclasses.fields(cls)]
    for name in settings:
      checks.one_of(name, fields, argument="field of a model")
    for name in ("architecture", "objective", "optimizer", "batch_size"):
      if name not in settings:
        raise ValueError(f"a model needs the field {name!r}, got {', '.join(settings)}")
    recipe = cls(**settings)
    recipe._check_types()
    for term in recipe.choices or {}:
      checks.one_of(term, recipe.objective, argument="term of choices")
    if (recipe.epochs is None) == (recipe.steps is None):
      raise ValueError(
        f"a model needs either epochs or steps, got epochs={recipe.epochs}, steps={recipe.steps}"
      )
    checks.count(
      batch_size=recipe.batch_size,
      log_every=recipe.log_every,
      checkpoint_every=recipe.checkpoint_every,
      **{
        name: value
        for name in ("epochs", "steps", "snapshots", "steps_per_call")
        if (value := getattr(recipe, name)) is not None
      },
    )
    if recipe.averaging is not None:
      checks.below_one(averaging=recipe.averaging)
    for name in recipe.augmentation or {}:
      checks.one_of(name, ("padding", "flip_probability"), argument="field of augmentation")
    for name, value in (recipe.early_stopping or {}).items():
      checks.one_of(name, EARLY_STOPPING, argument="field of early_stopping")
      if name in ("every", "batch_size") or (name == "patience" and value is not None):
        checks.count(**{f"{name} of early_stopping": value})
    split = (recipe.early_stopping or {}).get("split", SELECTING[0])
    checks.one_of(split, SELECTING, argument="split of early_stopping")
    checks.count(0, first=(recipe.early_stopping or {}).get("first", 0))
    check_probe(recipe.probe or {})
    checks.count(0, maximum=2**32 - 1, seed_offset=recipe.seed_offset)
    recipe._check_teacher()
    wanted = needed(recipe.objective, "map")
    for name in recipe.map_settings:
      if not wanted:
        raise ValueError(
          f"maps must be left out, since no term of objective needs any, got {name!r}"
        )
      checks.one_of(name, wanted, argument="map of maps")
    return recipe

  def _check_teacher(self) -> None:
    if (self.teacher is None) == bool(self.taught):
      able = {term for terms in needed(TERMS, "labels").values() for term in terms}
      named = self.taught or [name for name in TERMS if name in able]
      raise ValueError(
        f"a model with the term {' or '.join(map(repr, named))} needs a teacher, and no other may"
      )
    for terms in needed(self.objective, "labels").values():
      temperatures = {self.teacher_temperature(name) for name in terms}
      if len(temperatures) > 1:
        raise ValueError(
          f"the terms {', '.join(terms)} must have one temperature, got {sorted(temperatures)}"
        )

  def _check_types(self) -> None:
    for name in ("architecture", "objective", "optimizer"):
      checks.mapping(**{name: getattr(self, name)})
    for name in (
      "augmentation", "early_stopping", "probe", "choices", "maps", "trainer_settings",
    ):  # fmt: skip
      if (value := getattr(self, name)) is not None:
        checks.mapping(**{name: value})
    checks.text(trainer=self.trainer)
    if not self.objective and self.trainer == "classifier":
      raise ValueError(f"objective needs at least one term of {checks.listed(TERMS)}; got none")
    for name, settings in self.objective.items():
      checks.mapping(**{f"objective term {name!r}": settings})
    if self.teacher is not None:
      checks.text(teacher=self.teacher)
    for term, family in (self.choices or {}).items():
      checks.text(**{f"choices of term {term!r}": family})
    checks.flag(shuffle=self.shuffle)

  @property
  def taught(self) -> list[str]:
    """The terms that take a teacher's probabilities."""
    taught = {term for terms in needed(self.objective, "labels").values() for term in terms}
    return [name for name in self.objective if name in taught]

  def teacher_temperature(self, term: str) -> float:
    """At which a term takes the teacher's probabilities: its own temperature; 1 if it has none."""
    default = settings_of(TERMS[term].function).get("temperature")
    given = self.objective[term].get("temperature", 1.0 if default is None else default.default)
    checks.scalar(temperature=given)
    checks.positive(temperature=given)
    return float(given)

  @property
  def has_classes(self) -> bool:
    """Whether its network tells classes apart."""
    return self.trainer not in WITHOUT_CLASSES

  @property
  def map_settings(self) -> dict[str, MapSettings]:
    """`maps`, read."""
    return {name: read(MapSettings, one, f"maps.{name}") for name, one in (self.maps or {}).items()}

  @property
  def needs(self) -> dict[str, str]:
    """The models that must be trained before this one: "teacher" and "source" -> their names."""
    named = {"teacher": self.teacher, "source": (self.probe or {}).get("source")}
    return {role: name for role, name in named.items() if name is not None}

  def weighted(self, numbers: Mapping[str, float]) -> "Recipe":
    """The recipe whose `choices` have been made: these terms' weights times these numbers.

    >>> recipe = Recipe({"name": "mlp"}, {"a": {"weight": 0.5}, "b": {}}, {}, 1, choices={"a": "f"})
    >>> recipe.weighted({"a": 4.0}).objective
    {'a': {'weight': 2.0}, 'b': {}}
    """
    objective = {
      term: {**settings, "weight": settings.get("weight", 1.0) * numbers[term]}
      if term in numbers
      else settings
      for term, settings in self.objective.items()
    }
    return dataclasses.replace(self, objective=objective, choices=None)

  def total_steps(self, examples: int) -> int:
    """Steps of training on a set of this size."""
    if self.steps is not None:
      return self.steps
    assert self.epochs is not None  # `from_config` sees to it
    return self.epochs * steps_per_epoch(examples, self.batch_size)


def training_order(recipes: Mapping[str, Recipe]) -> list[str]:
  """The models in an order in which each comes after its teacher and its probe's source.

  Args:
    recipes: the models by name.

  Returns:
    Their names.

  Raises:
    ValueError: for a model that does not exist, a teacher that has a teacher itself, or models
      that need one another.
  """
  for name, recipe in recipes.items():
    for role, other in recipe.needs.items():
      checks.one_of(other, recipes, argument=f"{role} of model {name!r}")
      if not recipes[other].has_classes:
        raise ValueError(f"{role} of model {name!r} must have classes, {other!r} has none")
    if recipe.teacher is not None and recipes[recipe.teacher].teacher is not None:
      raise ValueError(f"teacher of model {name!r} must not have a teacher itself")
  graph = {name: recipe.needs.values() for name, recipe in recipes.items()}
  try:
    return list(graphlib.TopologicalSorter(graph).static_order())
  except graphlib.CycleError as error:
    needing = reversed(error.args[1])
    raise ValueError(
      "models must not need one another, as teacher or as source of a probe; got "
      + ", which needs ".join(map(repr, needing))
    ) from None
