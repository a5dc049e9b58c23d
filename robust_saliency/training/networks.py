"""From a model's entry in a config to a trained network."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency import models
from robust_saliency.core import LogitsFn, checks
from robust_saliency.data import Dataset, crop_and_flip
from robust_saliency.objectives import weighted_sum
from robust_saliency.training.divergence import record, recorded, without_numbers
from robust_saliency.training.early_stopping import Selection
from robust_saliency.training.loop import finished
from robust_saliency.training.many import Member, trained_or_diverged
from robust_saliency.training.metrics import Row, read_metrics
from robust_saliency.training.optimizers import get_optimizer
from robust_saliency.training.order import batch_indices, steps_per_epoch
from robust_saliency.training.probe import (
  EPSILON,
  EVERY,
  FGSM_ACCURACY,
  Probe,
  black_box_images,
  make_measure,
)
from robust_saliency.training.recipe import TAUGHT, Recipe, teacher_temperature
from robust_saliency.training.state import TrainState, create_state
from robust_saliency.training.step import AXIS, Data, Step, make_step, map_over_devices
from robust_saliency.training.validation import correct_under, validation_accuracy


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
  """A module and its trained variables, and the seed that they come from.

  Attributes:
    module: the network, for evaluation.
    variables: its parameters and statistics; NaN where its training has diverged.
    seed: the experiment's.
    diverged: why its training has diverged; "" where it has not.
    rows: the metrics of its training, where it was read from its folder.
  """

  module: nn.Module
  variables: Mapping[str, Any]
  seed: int = 0
  diverged: str = ""
  rows: tuple[Row, ...] = ()

  @property
  def logits_fn(self) -> LogitsFn:
    """The network in evaluation mode, as attacks and attributions take it.

    Raises:
      ValueError: if its training has diverged.
    """
    if self.diverged:
      raise ValueError(f"a network whose training has diverged has no logits: {self.diverged}")
    return models.logits_fn(self.module, self.variables)


class Network:
  """A recipe made ready for a data set: compiled once, trained once per seed.

  Args:
    name: what the config calls the model.
    recipe: its entry.
    dataset: what it is trained on.

  Raises:
    ValueError: for anything in the recipe that does not exist or is not allowed.
  """

  def __init__(self, name: str, recipe: Recipe, dataset: Dataset):
    self.name, self.recipe, self._dataset = name, recipe, dataset
    fields = {"num_classes": len(dataset.classes), **recipe.architecture}
    if "name" not in fields:
      raise ValueError(f"architecture needs a name, one of {', '.join(models.names())}")
    self.module = models.build(**fields)
    self._optimizer = get_optimizer(
      recipe.optimizer,
      steps_per_epoch=steps_per_epoch(len(dataset.train), recipe.batch_size),
      total_steps=recipe.total_steps(len(dataset.train)),
    )
    apply_fn = models.apply_fn(models.build(**fields, axis_name=AXIS))

    def step_for(objective: Mapping[str, Any]) -> Step:
      return make_step(
        apply_fn,
        weighted_sum(objective, bounds=dataset.bounds),
        self._optimizer,
        to_float=dataset.to_float,
        augment=_augmentation(recipe.augmentation, dataset),
        averaging=recipe.averaging or 0.0,
      )

    self._step_for = step_for
    self._mapped_step = map_over_devices(step_for(recipe.objective))
    self._selection = self._make_selection()
    self._measure = None
    if recipe.probe is not None:
      self._measure = make_measure(
        models.apply_fn(self.module), dataset, examples=recipe.probe_examples
      )

  def check(self) -> None:
    """Traces one step, and what early stopping measures.

    So whatever the recipe cannot do is refused before training.

    Raises:
      ValueError, TypeError: in a sentence that names the setting.
    """
    state = jax.eval_shape(lambda: self._initial_state(0))
    data = {"x": self._dataset.train.x, "y": self._dataset.train.y}
    if self.recipe.teacher is not None:
      data["soft_targets"] = np.zeros((len(data["y"]), len(self._dataset.classes)), np.float32)
    shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), data)
    indices = jax.ShapeDtypeStruct(self._indices(0, seed=0).shape, jnp.int32)
    jax.eval_shape(self._mapped_step, state, shapes, indices)
    if self._selection is not None:
      self._check_early_stopping(state)

  def _check_early_stopping(self, state: TrainState) -> None:
    settings = self.recipe.early_stopping or {}
    first, steps = settings.get("first", 0), self.recipe.total_steps(len(self._dataset.train))
    epoch = steps_per_epoch(len(self._dataset.train), self.recipe.batch_size)
    if first * epoch > steps:
      raise ValueError(
        f"first of early_stopping must be at most the {steps // epoch} epochs of training, "
        f"got {first}"
      )
    split, attack = self._dataset.validation_for("early stopping"), settings.get("attack")
    images = jax.ShapeDtypeStruct((2, *split.x.shape[1:]), split.x.dtype)
    numbers, labels = jnp.arange(2), jax.ShapeDtypeStruct((2,), jnp.int32)
    with checks.naming("attack of early_stopping"):
      jax.eval_shape(
        correct_under(models.apply_fn(self.module), self._dataset, attack),
        state.evaluation_variables,
        numbers,
        (images, labels),
      )

  def train(
    self,
    seed: int,
    directory: Path,
    *,
    teacher: TrainedNetwork | None = None,
    source: TrainedNetwork | None = None,
    identity: Any = None,
  ) -> TrainedNetwork:
    """Trains the network with this seed, or what is left of it, in this folder.

    Args:
      seed: with the recipe's `seed_offset` it fixes the initial parameters, the order of examples,
        and all keys.
      directory: where checkpoints and metrics go.
      teacher: the trained teacher, if the recipe names one.
      source: the trained network that the probe's FGSM is made for, if the recipe names one.
      identity: what the network follows from; checkpoints of another are passed over.

    Returns:
      The network after its last step. One that diverges, or whose teacher has, is recorded in the
      folder and not trained again.

    Raises:
      ValueError: if the recipe names a source and none is given.
    """
    training_seed = seed + self.recipe.seed_offset
    if teacher is not None and teacher.diverged:
      reason = f"its teacher has diverged: {teacher.diverged}"
      if not recorded(directory, identity=identity):
        record(directory, reason, step=0, rows=[], identity=identity)
      variables = without_numbers(self._initial_state(training_seed).evaluation_variables)
      return TrainedNetwork(self.module, variables, seed, reason)
    data = {"x": self._dataset.train.x, "y": self._dataset.train.y}
    if teacher is not None:
      data["soft_targets"] = self._soft_targets(teacher)
    state, diverged = trained_or_diverged(
      self._mapped_step,
      self._initial_state(training_seed),
      data,
      steps=self.recipe.total_steps(len(self._dataset.train)),
      indices=lambda step: self._indices(step, seed=training_seed),
      directory=directory,
      label=f"training {self.name}, seed {seed}",
      log_every=self.recipe.log_every,
      checkpoint_every=self.recipe.checkpoint_every,
      identity=identity,
      selection=self._selection,
      probe=self._make_probe(source),
    )
    variables = jax.tree.map(jnp.asarray, state.evaluation_variables)
    return TrainedNetwork(self.module, variables, seed, diverged)

  def read(self, seed: int, directory: Path, *, identity: Any = None) -> TrainedNetwork | None:
    """The network that `train` has left in this folder; None where it is not finished.

    Args:
      seed: as of `train`.
      directory: as of `train`; nothing is written to it.
      identity: as of `train`.
    """
    state = self._initial_state(seed + self.recipe.seed_offset)
    if reason := recorded(directory, identity=identity):
      variables = without_numbers(state.evaluation_variables)
      return TrainedNetwork(self.module, variables, seed, reason, tuple(read_metrics(directory)))
    found = finished(
      state,
      steps=self.recipe.total_steps(len(self._dataset.train)),
      directory=directory,
      identity=identity,
      selection=self._selection,
    )
    if found is None:
      return None
    last, rows = found
    variables = jax.tree.map(jnp.asarray, last.evaluation_variables)
    return TrainedNetwork(self.module, variables, seed, rows=tuple(rows))

  def untrained(self, seed: int) -> TrainedNetwork:
    """The network before its first step."""
    state = self._initial_state(seed + self.recipe.seed_offset)
    return TrainedNetwork(self.module, state.evaluation_variables, seed)

  def as_member(
    self,
    seed: int,
    name: str,
    *,
    teacher: TrainedNetwork | None = None,
    source: TrainedNetwork | None = None,
    identity: Any = None,
  ) -> Member:
    """This network as one of many that `train_many` trains by `step_of_weights`.

    Args:
      seed: as of `train`.
      name: of its folder.
      teacher: as of `train`.
      source: as of `train`.
      identity: as of `train`.

    Raises:
      ValueError: if the recipe names a source and none is given.
    """
    training_seed = seed + self.recipe.seed_offset
    own: dict[str, Any] = {
      _weight_of(term): np.float32(settings.get("weight", 1.0))
      for term, settings in self.recipe.objective.items()
    }
    if teacher is not None:
      own["soft_targets"] = self._soft_targets(teacher)
    return Member(
      name,
      self._initial_state(training_seed),
      lambda step: self._indices(step, seed=training_seed),
      own,
      identity,
      self._make_probe(source),
    )

  def step_of_weights(self, state: Any, data: Data, indices: Array) -> tuple[Any, dict[str, Array]]:
    """The step of one device, which finds the weights of its terms in its data."""
    objective = {
      term: {**settings, "weight": data[_weight_of(term)]}
      for term, settings in self.recipe.objective.items()
    }
    return self._step_for(objective)(state, data, indices)

  def _initial_state(self, seed: int) -> TrainState:
    init_key = jax.random.fold_in(jax.random.key(seed), _INITIALIZATION)
    variables = models.init(self.module, init_key, self._dataset.image_shape)
    averaged = self.recipe.averaging is not None
    return create_state(variables, self._optimizer, seed=seed, averaged=averaged)

  def _make_selection(self) -> Selection | None:
    if self.recipe.early_stopping is None:
      return None
    settings = self.recipe.early_stopping
    evaluate = validation_accuracy(
      models.apply_fn(self.module),
      self._dataset,
      attack=settings.get("attack"),
      batch_size=settings.get("batch_size", 1000),
    )
    epoch = steps_per_epoch(len(self._dataset.train), self.recipe.batch_size)
    return Selection(
      lambda state: evaluate(state.evaluation_variables),
      every=settings.get("every", 1) * epoch,
      first=settings.get("first", 0) * epoch,
      patience=settings.get("patience"),
    )

  def _make_probe(self, source: TrainedNetwork | None) -> Probe | None:
    settings, measure = self.recipe.probe, self._measure
    if settings is None or measure is None:
      return None
    every, target = settings.get("every", EVERY), settings.get("source")
    if target is None:
      return Probe(lambda state: measure(state.evaluation_variables, None), every)
    if source is None:
      raise ValueError(f"the probe of {self.name!r} needs its trained source {target!r}")

    if source.diverged:
      # There are no images to measure on.
      return Probe(
        lambda state: {**measure(state.evaluation_variables, None), FGSM_ACCURACY: float("nan")},
        every,
      )

    @functools.cache  # a run that is finished does not ask for them
    def images() -> np.ndarray:
      return black_box_images(
        source.logits_fn,
        self._dataset,
        examples=self.recipe.probe_examples,
        epsilon=settings.get("epsilon", EPSILON),
      )

    return Probe(lambda state: measure(state.evaluation_variables, images()), every)

  def _indices(self, step: int, *, seed: int) -> np.ndarray:
    indices = batch_indices(
      step,
      examples=len(self._dataset.train),
      batch_size=self.recipe.batch_size,
      devices=jax.device_count(),
      seed=seed,
      shuffle=self.recipe.shuffle,
    )
    local = jax.local_device_count()
    return indices[jax.process_index() * local : (jax.process_index() + 1) * local]

  def _soft_targets(self, teacher: TrainedNetwork) -> np.ndarray:
    terms = self.recipe.objective
    temperature = next(teacher_temperature(terms[name]) for name in TAUGHT if name in terms)
    predict: Callable[[Any], Array] = jax.jit(
      lambda x: jax.nn.softmax(teacher.logits_fn(self._dataset.to_float(x)) / temperature)
    )
    x = self._dataset.train.x
    return np.concatenate([predict(x[i : i + 1000]) for i in range(0, len(x), 1000)])


def _weight_of(term: str) -> str:
  return f"weight of {term}"


def _augmentation(
  settings: Mapping[str, Any] | None, dataset: Dataset
) -> Callable[[Array, Array], Array] | None:
  if settings is None:
    return None
  # Stored bytes begin at 0, floats at the low bound.
  fill = 0 if dataset.train.x.dtype == np.uint8 else dataset.bounds[0]
  return lambda keys, x: crop_and_flip(keys, x, fill=fill, **settings)[0]


# Far from any step's number, which is folded into the same key.
_INITIALIZATION = 2**31 - 1
