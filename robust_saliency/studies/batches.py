"""Runs a function of trained networks over a test set, in batches, on all devices."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax import Array

from robust_saliency import models
from robust_saliency.core import LogitsFn
from robust_saliency.core.keys import as_threefry
from robust_saliency.core.predictions import predicted_class
from robust_saliency.core.programs import over_examples
from robust_saliency.data import Split
from robust_saliency.training import TrainedNetwork

# name -> one trained network per seed.
Networks = Mapping[str, list[TrainedNetwork]]

# (keys [B], logits_fn, images [B, ...], labels [B]) -> arrays whose first axis is B.
PerExample = Callable[[Array, LogitsFn, Array, Array], Any]


def key_for(key: Array, name: str) -> Array:
  """A key of its own for each purpose, the same in every run."""
  for byte in name.encode():
    key = jax.random.fold_in(key, byte)
  return key


class Evaluator:
  """A per-example function, compiled once for each architecture and mapped over devices.

  Args:
    function: what is computed. Example i gets the key `fold_in(key, i)`, so that its result
      does not depend on the batch size or the number of devices.
    batch_size: examples per call, over all devices.
  """

  def __init__(self, function: PerExample, *, batch_size: int):
    self._function, self._batch_size = function, batch_size
    self._compiled: dict[nn.Module, Callable] = {}

  def __call__(self, network: TrainedNetwork, key: Array, x: np.ndarray, y: np.ndarray) -> Any:
    """Applies the function to all examples.

    Args:
      network: the network whose logits function the function gets.
      key: one PRNG key.
      x: float images [N, ...].
      y: classes [N].

    Returns:
      The function's arrays for all N examples, as NumPy arrays.
    """
    return self._mapped(network.module)((network.variables, key), (x, y))

  def _mapped(self, module: nn.Module) -> Callable[[Any, Any], Any]:
    if module not in self._compiled:

      def of_batch(
        shared: tuple[Mapping[str, Any], Array], numbers: Array, examples: tuple[Array, Array]
      ) -> Any:
        variables, key = shared
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(as_threefry(key), numbers)
        return self._function(keys, models.logits_fn(module, variables), *examples)

      self._compiled[module] = over_examples(of_batch, batch_size=self._batch_size)
    return self._compiled[module]


def predict(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
  """The predicted class, -1 where a logit is NaN, as a function for an `Evaluator`."""
  del keys, y
  return predicted_class(logits_fn(x))


def first_examples(split: Split, examples: int | None) -> Split:
  """The first examples of a split, all of them for None.

  Raises:
    ValueError: if there are not so many.
  """
  if examples is None:
    return split
  if not 1 <= examples <= len(split):
    raise ValueError(f"examples must be between 1 and {len(split)}, got {examples}")
  return split.take(slice(examples))


def positions_of_each_class(split: Split, classes: int, per_class: int) -> np.ndarray:
  """Where the first examples of each class stand in a split, class by class."""
  positions = [np.flatnonzero(split.y == label)[:per_class] for label in range(classes)]
  return np.concatenate(positions)
