"""Accuracy during training on images that are not trained on, clean or under attack."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import multihost_utils

from robust_saliency.attacks.registry import bind_attack
from robust_saliency.core import ApplyFn, checks
from robust_saliency.core.keys import as_threefry
from robust_saliency.core.programs import over_examples
from robust_saliency.data import Dataset, Split


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
  images = selecting_split(dataset, split)
  checks.count(batch_size=batch_size)
  of_all = over_examples(correct_under(apply_fn, dataset, attack), batch_size=batch_size)

  def evaluate(variables: Mapping[str, Any]) -> float:
    accuracy = of_all(jax.tree.map(np.asarray, variables), (images.x, images.y)).mean()
    if jax.process_count() > 1:
      # Devices of another kind may round otherwise, and all must stop together.
      accuracy = multihost_utils.broadcast_one_to_all(accuracy)
    return float(accuracy)

  return evaluate


def selecting_split(dataset: Dataset, split: str) -> Split:
  """The images that early stopping looks at.

  Raises:
    ValueError: if they are those of the validation split, and there is none.
  """
  return dataset.test if split == "test" else dataset.validation_for("early stopping")


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
    return jnp.argmax(logits_fn(x), axis=-1) == y

  return correct
