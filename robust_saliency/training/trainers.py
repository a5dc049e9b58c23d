"""The trainers by name: each makes, of a model's recipe, its first state and its step.

The loop, checkpoints and sweeps know only that a step is `(state, data, indices) -> (state,
metrics)`. So what trains in another way (several optimisers in turn, inner steps, states of
several networks) is another trainer in a file of its own and its line in `TRAINERS`; a recipe
names it as "trainer".
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from robust_saliency import models
from robust_saliency.core import checks
from robust_saliency.data import Dataset, crop_and_flip
from robust_saliency.objectives import AXIS, weighted_sum
from robust_saliency.training import vae_gan as vae_gans
from robust_saliency.training.optimizers import get_optimizer
from robust_saliency.training.order import steps_per_epoch
from robust_saliency.training.recipe import Recipe
from robust_saliency.training.state import TrainState, create_state
from robust_saliency.training.step import Augment, Step, make_step


class Trainer(NamedTuple):
  """How a network is trained on a data set.

  Attributes:
    module: the network as it is evaluated.
    initial_state: seed -> the state before the first step, any pytree with the property
      `evaluation_variables`.
    step: objective, as a recipe has it -> the step of one device, see `step.Step`. A weight in it
      may be traced.
    version: raised by hand when its code changes its numbers.
  """

  module: nn.Module
  initial_state: Callable[[int], Any]
  step: Callable[[Mapping[str, Mapping[str, Any]]], Step]
  version: int = 1


def get_trainer(recipe: Recipe, dataset: Dataset) -> Trainer:
  """The trainer that a recipe names, made ready for a data set.

  Raises:
    ValueError: for a trainer that does not exist, and whatever it cannot train.
  """
  checks.one_of(recipe.trainer, TRAINERS, argument="trainer of a model")
  return TRAINERS[recipe.trainer](recipe, dataset)


def classifier(recipe: Recipe, dataset: Dataset) -> Trainer:
  """One network that minimises its objective by one optimiser."""
  if recipe.trainer_settings is not None:
    raise ValueError(
      "trainer_settings must be left out for the trainer 'classifier', which has none; got "
      f"{', '.join(recipe.trainer_settings)}"
    )
  classes = len(dataset.classes)
  fields = {"num_classes": classes, **recipe.architecture}
  if "name" not in fields:
    raise ValueError(f"architecture needs a name, one of {', '.join(models.names())}")
  checks.count(num_classes=fields["num_classes"])
  if fields["num_classes"] != classes:
    raise ValueError(
      f"num_classes must be the {classes} of the data set {dataset.name}, or left out, got "
      f"{fields['num_classes']}"
    )
  module = models.build(**fields)
  optimizer = get_optimizer(
    recipe.optimizer,
    steps_per_epoch=steps_per_epoch(len(dataset.train), recipe.batch_size),
    total_steps=recipe.total_steps(len(dataset.train)),
  )
  apply_fn = models.apply_fn(models.build(**fields, axis_name=AXIS))

  def initial_state(seed: int) -> TrainState:
    init_key = jax.random.fold_in(jax.random.key(seed), _INITIALIZATION)
    variables = models.init(module, init_key, dataset.image_shape)
    return create_state(variables, optimizer, seed=seed, averaged=recipe.averaging is not None)

  def step(objective: Mapping[str, Mapping[str, Any]]) -> Step:
    return make_step(
      apply_fn,
      weighted_sum(objective, bounds=dataset.bounds),
      optimizer,
      to_float=dataset.to_float,
      augment=_augmentation(recipe.augmentation, dataset),
      averaging=recipe.averaging or 0.0,
    )

  return Trainer(module, initial_state, step)


def vae_gan(recipe: Recipe, dataset: Dataset) -> Trainer:
  """Encoder, decoder and discriminator, each with an optimiser of its own; it has no classes."""
  settings = vae_gans.read_settings(recipe)
  module = vae_gans.make_module(recipe, dataset)
  optimizers = vae_gans.make_optimizers(recipe, settings, len(dataset.train))
  step = vae_gans.vae_gan_step(
    vae_gans.make_module(recipe, dataset, axis_name=AXIS),
    optimizers,
    settings,
    to_float=dataset.to_float,
  )

  def initial_state(seed: int) -> TrainState:
    key = jax.random.fold_in(jax.random.key(seed), _INITIALIZATION)
    return vae_gans.initial_state(module, optimizers, key, seed=seed)

  return Trainer(module, initial_state, lambda _: step)


def _augmentation(settings: Mapping[str, Any] | None, dataset: Dataset) -> Augment | None:
  if settings is None:
    return None
  # Stored bytes begin at 0, floats at what stands for the low bound.
  lowest = (dataset.bounds[0] - dataset.offset) / dataset.scale
  fill = 0 if dataset.train.x.dtype == np.uint8 else lowest
  return lambda keys, x, maps: crop_and_flip(keys, x, maps, fill=fill, **settings)


TRAINERS: dict[str, Callable[[Recipe, Dataset], Trainer]] = {
  "classifier": classifier,
  "vae_gan": vae_gan,
}
# Those that `models` does not have, since they have no logits: name -> its fields.
ARCHITECTURES: dict[str, type[Any]] = {"vae_gan": vae_gans.Architecture}
# Trainer -> its settings, as a recipe's `trainer_settings` has them.
SETTINGS: dict[str, type] = {"vae_gan": vae_gans.Settings}

# Far from any step's number, which is folded into the same key.
_INITIALIZATION = 2**31 - 1
