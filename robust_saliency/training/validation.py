"""Early stopping by the accuracy on images that are not trained on, clean or under attack."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import multihost_utils

from robust_saliency import models
from robust_saliency.attacks.registry import bind_attack
from robust_saliency.core import ApplyFn, checks
from robust_saliency.core.keys import as_threefry
from robust_saliency.core.predictions import is_correct
from robust_saliency.core.programs import over_examples
from robust_saliency.data import Dataset
from robust_saliency.training.early_stopping import Selection
from robust_saliency.training.order import steps_per_epoch
from robust_saliency.training.recipe import Recipe
from robust_saliency.training.state import TrainState

# As a refusal says it.
NEEDED_BY = "early stopping"


def early_stopping(recipe: Recipe, module: nn.Module, dataset: Dataset) -> Selection | None:
  """How the recipe wants a step chosen; None where its last is taken.

  Raises:
    ValueError, TypeError: if its split or attack does not exist.
  """
  if recipe.early_stopping is None:
    return None
  settings = recipe.early_stopping
  split = settings.get("split", "validation")
  dataset.split_for(NEEDED_BY, split)
  with checks.naming("attack of early_stopping"):
    evaluate = validation_accuracy(
      models.apply_fn(module),
      dataset,
      split=split,
      attack=settings.get("attack"),
      batch_size=settings.get("batch_size", 1000),
    )
  epoch = steps_per_epoch(len(dataset.train), recipe.batch_size)
  return Selection(
    lambda state: evaluate(state.evaluation_variables),
    every=settings.get("every", 1) * epoch,
    first=settings.get("first", 0) * epoch,
    patience=settings.get("patience"),
  )


def check_early_stopping(
  recipe: Recipe, module: nn.Module, dataset: Dataset, state: TrainState
) -> None:
  """Traces what early stopping measures.

  Args:
    recipe: one that stops early.
    module: its network.
    dataset: what it is trained on.
    state: the training's, or its shapes.

  Raises:
    ValueError, TypeError: for an attack that cannot be run, or a first epoch after the last.
  """
  settings = recipe.early_stopping or {}
  first, steps = settings.get("first", 0), recipe.total_steps(len(dataset.train))
  epoch = steps_per_epoch(len(dataset.train), recipe.batch_size)
  if first * epoch > steps:
    raise ValueError(
      f"first of early_stopping must be at most the {steps // epoch} epochs of training, "
      f"got {first}"
    )
  split = dataset.split_for(NEEDED_BY, settings.get("split", "validation"))
  images = jax.ShapeDtypeStruct((2, *split.x.shape[1:]), split.x.dtype)
  numbers, labels = jnp.arange(2), jax.ShapeDtypeStruct((2,), jnp.int32)
  with checks.naming("attack of early_stopping"):
    jax.eval_shape(
      correct_under(models.apply_fn(module), dataset, settings.get("attack")),
      state.evaluation_variables,
      numbers,
      (images, labels),
    )


def validation_accuracy(
  apply_fn: ApplyFn,
  dataset: Dataset,
  *,
  split: str = "validation",
  attack: Mapping[str, Any] | None = None,
  batch_size: int = 1000,
) -> Callable[[Mapping[str, Any]], float]:
  """Makes a function that measures a network in evaluation mode.

  Args:
    apply_fn: the network.
    dataset: the data.
    split: which of its splits is used, "validation" or "test".
    attack: an attack's settings; None for clean images. Its randomness is that of the same keys
      each time, one per example.
    batch_size: examples per call, over all local devices.

  Returns:
    variables -> accuracy, equal on all processes.

  Raises:
    ValueError: if there is no validation split, or the attack does not exist.
  """
  images = dataset.split_for(NEEDED_BY, split)
  checks.count(batch_size=batch_size)
  of_all = over_examples(correct_under(apply_fn, dataset, attack), batch_size=batch_size)

  def evaluate(variables: Mapping[str, Any]) -> float:
    accuracy = of_all(jax.tree.map(np.asarray, variables), (images.x, images.y)).mean()
    if jax.process_count() > 1:
      # Devices of another kind may round otherwise, and all must stop together.
      accuracy = multihost_utils.broadcast_one_to_all(accuracy)
    return float(accuracy)

  return evaluate


def correct_under(
  apply_fn: ApplyFn, dataset: Dataset, attack: Mapping[str, Any] | None
) -> Callable[[Mapping[str, Any], Array, tuple[Array, Array]], Array]:
  """Makes a function that says which images a network in evaluation mode classifies correctly.

  Args:
    apply_fn: the network.
    dataset: gives the pixel bounds.
    attack: an attack's settings; None for clean images.

  Returns:
    (variables, numbers [B] that fix the attack's randomness, (stored images [B, H, W, C], classes
    [B])) -> bool [B].

  Raises:
    ValueError, TypeError: if the attack does not exist, or a setting that it needs is missing.
  """
  attack_fn = None if attack is None else bind_attack(attack, bounds=dataset.bounds)

  def correct(variables: Mapping[str, Any], numbers: Array, images: tuple[Array, Array]) -> Array:
    def logits_fn(x: Array) -> Array:
      return apply_fn(variables, x, train=False)[0]

    x, y = dataset.to_float(images[0]), images[1]
    if attack_fn is not None:
      keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(
        as_threefry(jax.random.key(0)), numbers
      )
      x = attack_fn(keys, logits_fn, x, y)
    return is_correct(logits_fn(x), y)

  return correct
