"""What an objective is given, and what it gives back."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import ApplyFn
from robust_saliency.core.per_example import per_example

# The mapped axis over which a step's devices share a batch.
AXIS = "batch"


class Batch(NamedTuple):
  """One device's part of a batch.

  Attributes:
    x: images [B, H, W, C], floating point.
    y: classes, int [B].
    mask: float [B], 1 for an example, 0 for padding.
    size: the number of examples in the whole batch, over all devices.
    targets: whatever else a term needs of each example, by name, [B, ...]: a teacher's
      probabilities [B, K], a target map [B, H, W, C], one for each class [B, H, W, C, K].
    step: how many steps have been taken before this one.
  """

  x: Array
  y: Array
  mask: Array
  size: Array
  targets: Mapping[str, Array] = {}
  step: Array | int = 0

  def total(self, values: Array) -> Array:
    """Sums over the whole batch: all devices' examples, without padding.

    For a term that is not a mean over examples, such as a norm of something over the batch. It
    returns that number for every example, as an array [], and the step's mean is the number
    itself; value and gradient do not depend on how many devices share the batch.

    Args:
      values: [B, ...].

    Returns:
      [...], equal on all devices.

    Raises:
      ValueError: outside a mapping over the axis "batch".

    >>> batch = Batch(jnp.zeros((2, 1, 1, 1)), jnp.zeros(2, int), jnp.array([1.0, 0.0]), 1)
    >>> values = jnp.array([[3.0, 4.0], [9.0, 9.0]])
    >>> jax.vmap(lambda b, v: b.total(v), axis_name="batch")(
    ...   jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], batch), values[None]).tolist()
    [[3.0, 4.0]]
    """
    mask = per_example(self.mask, values)
    try:
      return jax.lax.psum(jnp.sum(mask * values, axis=0), AXIS)
    except NameError:
      raise ValueError(
        f"a sum over the whole batch needs the mapped axis {AXIS!r}, as in "
        f"jax.pmap(..., axis_name={AXIS!r}); there is none"
      ) from None


class LossSum(NamedTuple):
  """One device's part of the loss. Loss = psum(sum) / psum(weight), and so each metric.

  Attributes:
    sum: of the loss over the device's examples.
    weight: the number of them.
    collections: the network's new variables other than its parameters ("batch_stats", ...), equal
      on all devices.
    metrics: name -> (sum, weight).
  """

  sum: Array
  weight: Array
  collections: Mapping[str, Any]
  metrics: dict[str, tuple[Array, Array]]


# (keys [B], apply_fn, variables, batch) -> LossSum
Objective = Callable[[Array, ApplyFn, Any, Batch], LossSum]
