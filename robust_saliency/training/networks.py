"""From a model's entry in a config to a trained network."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax import Array

from robust_saliency import models
from robust_saliency.core import LogitsFn
from robust_saliency.data import Dataset
from robust_saliency.training.checkpoints import Checkpoint, delete_from, restore
from robust_saliency.training.contents import memory, nbytes
from robust_saliency.training.divergence import record, recorded, without_numbers
from robust_saliency.training.loop import Finished, finished
from robust_saliency.training.many import Member, trained_or_diverged
from robust_saliency.training.metrics import read_metrics
from robust_saliency.training.order import batch_indices
from robust_saliency.training.probe import probe_on
from robust_saliency.training.recipe import Recipe
from robust_saliency.training.step import Data, map_over_devices, steps_per_call_by_default
from robust_saliency.training.targets import empty_targets, targets
from robust_saliency.training.trained_network import TrainedNetwork
from robust_saliency.training.trainers import get_trainer
from robust_saliency.training.validation import check_early_stopping, early_stopping


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
    self._weighted: dict[str, Network] = {}
    self.trainer = get_trainer(recipe, dataset)
    self.module = self.trainer.module
    self._steps_per_call = recipe.steps_per_call or steps_per_call_by_default()
    self._mapped_step = map_over_devices(
      self.trainer.step(recipe.objective), steps_per_call=self._steps_per_call
    )
    self._selection = early_stopping(recipe, self.module, dataset)
    self._probe = probe_on(recipe.probe, models.apply_fn(self.module), dataset, name=name)

  def check(self) -> None:
    """Traces one step, and what early stopping measures.

    So whatever the recipe cannot do is refused before training.

    Raises:
      ValueError, TypeError: in a sentence that names the setting.
    """
    state = jax.eval_shape(lambda: self.trainer.initial_state(0))
    data = {"x": self._dataset.train.x, "y": self._dataset.train.y}
    data |= empty_targets(self.recipe, self._dataset)
    shapes = jax.tree.map(lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype), data)
    per_device = math.ceil(self.recipe.batch_size / jax.device_count())
    of_call = (2,) if self._steps_per_call > 1 else ()
    indices = jax.ShapeDtypeStruct((jax.local_device_count(), *of_call, per_device), jnp.int32)
    jax.eval_shape(self._mapped_step, state, shapes, indices)
    if self._selection is not None:
      check_early_stopping(
        recipe=self.recipe, module=self.module, dataset=self._dataset, state=state
      )

  def train(
    self,
    seed: int,
    directory: Path,
    *,
    teacher: TrainedNetwork | None = None,
    source: TrainedNetwork | None = None,
    maps: Any = None,
    images: np.ndarray | None = None,
    hindered: str = "",
    label: str | None = None,
    identity: Any = None,
  ) -> TrainedNetwork:
    """Trains the network with this seed, or what is left of it, in this folder.

    Args:
      seed: with the recipe's `seed_offset` it fixes the initial parameters, the order of examples,
        and all keys.
      directory: where checkpoints and metrics go.
      teacher: the trained teacher, if the recipe names one.
      source: the trained network that the probe's FGSM is crafted on, if the recipe names one.
      maps: the maps [N, H, W, ...] of the training images that terms of the objective need, by
        name; augmented together with the images, after what the recipe's `maps` say is done.
      hindered: why it cannot be trained, other than that its teacher has diverged: something else
        that it needs has. It then counts as diverged, too.
      images: what it is trained on in the place of the training images, of their shape and dtype.
      label: what progress and errors call it; None for its name and seed.
      identity: what the network follows from, JSON-serialisable; checkpoints of another are
        skipped. None matches None alone: a folder that was trained in without an identity is taken
        for this network, whatever the recipe is now.

    Returns:
      The network after its last step. One that diverges, or whose teacher has, is recorded in the
      folder and not trained again.

    Raises:
      ValueError: if the recipe names a source and none is given, or its terms need other maps.
    """
    training_seed = seed + self.recipe.seed_offset
    if teacher is not None and teacher.diverged:
      hindered = f"its teacher has diverged: {teacher.diverged}"
    if hindered:
      if not recorded(directory, identity=identity):
        record(directory, hindered, step=0, rows=[], identity=identity)
      variables = without_numbers(self.trainer.initial_state(training_seed).evaluation_variables)
      return TrainedNetwork(self.module, variables, seed, hindered)
    data = {
      "x": self._dataset.train.x if images is None else images,
      "y": self._dataset.train.y,
      **targets(
        self.recipe, self._dataset, teacher=_logits_fn(teacher), maps=maps, seed=training_seed
      ),
    }
    if self.recipe.snapshots is not None:
      self._delete_from_a_missing_snapshot(training_seed, directory, identity)
    state, diverged = trained_or_diverged(
      self._mapped_step,
      self.trainer.initial_state(training_seed),
      data,
      steps=self.recipe.total_steps(len(self._dataset.train)),
      indices=lambda step: self._indices(step, seed=training_seed),
      directory=directory,
      label=label or f"training {self.name}, seed {seed}",
      log_every=self.recipe.log_every,
      checkpoint_every=self.recipe.checkpoint_every,
      **({} if self.recipe.snapshots is None else {"keep": self.recipe.snapshots}),
      identity=identity,
      selection=self._selection,
      probe=self._probe(source),
      steps_per_call=self._steps_per_call,
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
    # Of shapes alone: a stranger's folder may ask for a network that fills the memory.
    state = jax.eval_shape(lambda: self.trainer.initial_state(seed + self.recipe.seed_offset))
    if reason := recorded(directory, identity=identity):
      if nbytes(state) > memory():
        logging.warning("Passing over %s: its network would not fit into the memory", directory)
        return None
      state = self.trainer.initial_state(seed + self.recipe.seed_offset)
      variables = without_numbers(state.evaluation_variables)
      return TrainedNetwork(self.module, variables, seed, reason, tuple(read_metrics(directory)))
    found = self._finished(state, directory, identity)
    if found is None:
      return None
    snapshots = self._snapshots(found.last, directory, identity)
    if snapshots is None:
      return None
    variables = jax.tree.map(jnp.asarray, found.state.evaluation_variables)
    own = found.last.variables if self.recipe.averaging is not None else None
    return TrainedNetwork(
      self.module, variables, seed, rows=tuple(found.rows), last=own, snapshots=snapshots
    )

  def _finished(self, state: Any, directory: Path, identity: Any) -> Finished[Any] | None:
    return finished(
      state,
      steps=self.recipe.total_steps(len(self._dataset.train)),
      directory=directory,
      identity=identity,
      selection=self._selection,
    )

  def _snapshots(self, last: Any, directory: Path, identity: Any) -> tuple[Any, ...] | None:
    """The variables at the checkpoints that stay; None where one of them is missing."""
    if self.recipe.snapshots is None:
      return ()
    found = self._checkpoints(last, directory, identity)
    if None in found.values():
      return None
    return tuple(one.state.variables for one in found.values() if one is not None)

  def _checkpoints(
    self, last: Any, directory: Path, identity: Any
  ) -> dict[int, Checkpoint[Any] | None]:
    """Of each step that the recipe keeps, the checkpoint; None where it is missing."""
    end, every = int(last.step), self.recipe.checkpoint_every
    steps = [*range(every, end, every), end][-(self.recipe.snapshots or 1) :]
    folder = directory / "checkpoints"
    return {step: restore(folder, last, identity=identity, step=step) for step in steps}

  def _delete_from_a_missing_snapshot(self, seed: int, directory: Path, identity: Any) -> None:
    """Lets a training that is over, but lacks what it should keep, be resumed before that."""
    found = self._finished(
      jax.eval_shape(lambda: self.trainer.initial_state(seed)), directory, identity
    )
    kept = {} if found is None else self._checkpoints(found.last, directory, identity)
    missing = [step for step, one in kept.items() if one is None]
    if missing:
      logging.warning("The checkpoint of step %d in %s is trained again", missing[0], directory)
      delete_from(directory / "checkpoints", missing[0])

  def weighted(self, numbers: Mapping[str, float]) -> "Network":
    """The network of `recipe.weighted(numbers)`; of equal numbers the same, compiled once."""
    recipe = self.recipe.weighted(numbers)
    objective = str(recipe.objective)
    if objective not in self._weighted:
      self._weighted[objective] = Network(self.name, recipe, self._dataset)
    return self._weighted[objective]

  def untrained(self, seed: int) -> TrainedNetwork:
    """The network before its first step."""
    state = self.trainer.initial_state(seed + self.recipe.seed_offset)
    return TrainedNetwork(self.module, state.evaluation_variables, seed)

  def as_member(
    self,
    seed: int,
    name: str,
    *,
    teacher: TrainedNetwork | None = None,
    source: TrainedNetwork | None = None,
    maps: Any = None,
    images: np.ndarray | None = None,
    identity: Any = None,
  ) -> Member:
    """This network as one of many that `train_many` trains by `step_of_weights`.

    Args:
      seed: as of `train`.
      name: of its folder.
      teacher: as of `train`.
      source: as of `train`.
      maps: as of `train`.
      images: as of `train`; where one member has its own, all need theirs.
      identity: as of `train`.

    Raises:
      ValueError: if the recipe names a source and none is given, or its terms need other maps.
    """
    training_seed = seed + self.recipe.seed_offset
    own: dict[str, Any] = {
      _weight_of(term): np.float32(settings.get("weight", 1.0))
      for term, settings in self.recipe.objective.items()
    }
    own |= targets(
      self.recipe, self._dataset, teacher=_logits_fn(teacher), maps=maps, seed=training_seed
    )
    if images is not None:
      own["x"] = images
    return Member(
      name,
      self.trainer.initial_state(training_seed),
      lambda step: self._indices(step, seed=training_seed),
      own,
      identity,
      self._probe(source),
    )

  def step_of_weights(self, state: Any, data: Data, indices: Array) -> tuple[Any, dict[str, Array]]:
    """The step of one device, which finds the weights of its terms in its data."""
    objective = {
      term: {**settings, "weight": data[_weight_of(term)]}
      for term, settings in self.recipe.objective.items()
    }
    return self.trainer.step(objective)(state, data, indices)

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


def _logits_fn(teacher: TrainedNetwork | None) -> LogitsFn | None:
  return None if teacher is None else teacher.logits_fn


def _weight_of(term: str) -> str:
  return f"weight of {term}"
