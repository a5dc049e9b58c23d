"""Decompositions of many matrices that cannot bring a CPU to a standstill."""

import functools
from collections.abc import Callable

import jax
from jax import Array
from jax.custom_batching import sequential_vmap


def one_matrix_at_a_time(function: Callable[..., Array]) -> Callable[..., Array]:
  """A function that calls LAPACK, one matrix after the other on CPUs, however often it is vmapped.

  jaxlib 0.10 hands the matrices of a batch to the thread pool that the call itself runs in, and
  waits for them. As many such calls as the pool has threads (one on each device, for instance)
  wait for each other for ever. A single matrix needs no other thread.

  Args:
    function: of arrays, one of whose decompositions it computes, to an array. It is not
      differentiated in reverse; `jax.lax.custom_linear_solve` around a solution is.

  Returns:
    The same function. Accelerators compute all matrices of a batch at once.

  >>> import jax.numpy as jnp
  >>> orthogonal = one_matrix_at_a_time(lambda matrix: jnp.linalg.qr(matrix)[0])
  >>> jax.vmap(orthogonal)(jnp.ones((7, 3, 2))).shape
  (7, 3, 2)
  """
  in_turn = sequential_vmap(function)

  @functools.wraps(function)
  def apart(*arrays: Array) -> Array:
    return jax.lax.platform_dependent(*arrays, cpu=in_turn, default=function)

  return apart
