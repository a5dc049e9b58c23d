"""Accuracy on the validation split during training, clean or under attack."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import multihost_utils

from robust_saliency.attacks import get_attack
from robust_saliency.core import ApplyFn, checks
from robust_saliency.data import Dataset

_AXIS = "validation"


def validation_accuracy(
  apply_fn: ApplyFn,
  dataset: Dataset,
  *,
  attack: Mapping[str, Any] | None = None,
  batch_size: int = 1000,
) -> Callable[[Mapping[str, Any]], float]:
  """Makes a function that measures a network in evaluation mode.

  Args:
    apply_fn: the network.
    dataset: its validation split is used.
    attack: an attack's settings; None for clean images. Its randomness is that of the same keys
      each time, one per example.
    batch_size: examples per call, over all local devices.

  Returns:
    variables -> accuracy, equal on all processes.

  Raises:
    ValueError: if there is no validation split, or the attack does not exist.
  """
  split = dataset.validation_for("early stopping")
  checks.count(batch_size=batch_size)
  attack_fn = None if attack is None else get_attack({"bounds": dataset.bounds, **attack})

  def correct(variables: Mapping[str, Any], x: Array, y: Array, indices: Array) -> Array:
    def logits_fn(x: Array) -> Array:
      return apply_fn(variables, x, train=False)[0]

    x = dataset.to_float(x)
    if attack_fn is not None:
      keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(jax.random.key(0), indices)
      x = attack_fn(keys, logits_fn, x, y)
    right = (jnp.argmax(logits_fn(x), axis=-1) == y) & (indices >= 0)
    return jax.lax.psum(jnp.sum(right), _AXIS)

  devices = jax.local_devices()
  rows = math.ceil(min(batch_size, len(split)) / len(devices))
  mapped = jax.pmap(
    correct, axis_name=_AXIS, in_axes=(None, 0, 0, 0), out_axes=None, devices=devices
  )

  def evaluate(variables: Mapping[str, Any]) -> float:
    total = 0
    host_variables = jax.tree.map(np.asarray, variables)
    for start in range(0, len(split), rows * len(devices)):
      numbers = np.arange(start, start + rows * len(devices), dtype=np.int32)
      indices = np.where(numbers < len(split), numbers, -1).reshape(len(devices), rows)
      taken = split.take(np.maximum(indices, 0))
      total += int(mapped(host_variables, taken.x, taken.y, indices))
    accuracy = total / len(split)
    if jax.process_count() > 1:
      # Devices of another kind may round otherwise, and all must stop together.
      accuracy = float(multihost_utils.broadcast_one_to_all(np.float64(accuracy)))
    return accuracy

  return evaluate
