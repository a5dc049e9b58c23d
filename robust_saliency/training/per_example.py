"""Applies a function of single examples to a whole split, in batches, on all local devices."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import Array

# (what all examples share, their numbers [B], examples, a pytree [B, ...]) -> a pytree [B, ...].
OfBatch = Callable[[Any, Array, Any], Any]


def over_examples(function: OfBatch, *, batch_size: int) -> Callable[[Any, Any], Any]:
  """Compiles a function once and maps it over devices and batches.

  Args:
    function: what is computed of a batch, each example by itself. It gets an example's number, so
      that its random numbers depend neither on the batch size nor on the number of devices.
    batch_size: examples per call, over all local devices.

  Returns:
    (what all examples share, host arrays [N, ...]) -> the function's arrays for all N examples, on
    the host. What is shared must not be committed to some devices, as a training state is.

  >>> double = over_examples(lambda factor, numbers, x: factor * x, batch_size=2)
  >>> double(2.0, np.array([1.0, 2.0, 3.0])).tolist()
  [2.0, 4.0, 6.0]
  """
  devices = jax.local_devices()
  mapped = jax.pmap(function, in_axes=(None, 0, 0), devices=devices)

  def apply(shared: Any, examples: Any) -> Any:
    total = len(jax.tree.leaves(examples)[0])
    rows = math.ceil(min(batch_size, total) / len(devices))
    parts = []
    for start in range(0, total, rows * len(devices)):
      # The last example again fills the last batch.
      numbers = np.minimum(np.arange(start, start + rows * len(devices)), total - 1)
      dealt = numbers.reshape(len(devices), rows)
      result = mapped(shared, dealt, jax.tree.map(lambda array, d=dealt: array[d], examples))
      kept = min(rows * len(devices), total - start)
      parts.append(
        jax.tree.map(lambda a, n=kept: np.asarray(a).reshape(-1, *a.shape[2:])[:n], result)
      )
    return jax.tree.map(lambda *of_all: np.concatenate(of_all), *parts)

  return apply
