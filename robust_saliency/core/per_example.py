"""A number or a choice for each example, beside arrays of whole images."""

from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array

_Tree = TypeVar("_Tree")


def per_example(numbers: Array, like: Array) -> Array:
  """Numbers [B] in a shape that broadcasts over images [B, ...].

  >>> per_example(jnp.arange(2), jnp.zeros((2, 3, 3, 1))).shape
  (2, 1, 1, 1)
  """
  return numbers.reshape(-1, *[1] * (like.ndim - 1))


def select(chosen: Array, new: _Tree, old: _Tree) -> _Tree:
  """`new` for the chosen examples, `old` for the others.

  Args:
    chosen: bool [B].
    new: a pytree of arrays [B, ...].
    old: of the same structure and shapes.

  >>> select(jnp.array([True, False]), jnp.ones((2, 2)), jnp.zeros((2, 2))).tolist()
  [[1.0, 1.0], [0.0, 0.0]]
  """
  return jax.tree.map(lambda a, b: jnp.where(per_example(chosen, a), a, b), new, old)
