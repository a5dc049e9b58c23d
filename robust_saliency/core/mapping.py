"""Bounded memory: whatever multiplies the batch goes through here, `chunk_size` rows at a time."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.compiled import compiled_once
from robust_saliency.core.tracing import repeat, widened


def map_batches(
  function: Callable[..., Any],
  *arrays: Array,
  chunk_size: int | None = None,
  holds_loops: bool = False,
) -> Any:
  """`function(*arrays)` for a row-wise function, on at most `chunk_size` rows at a time.

  Args:
    function: maps arrays with B rows to a pytree of arrays with B rows, each row on its own.
    *arrays: arrays whose first axis is B.
    chunk_size: rows per call (static); None for all of them at once.
    holds_loops: whether `function` repeats something: outside `jit` it is then not compiled as a
      whole, only what it repeats is (see `core.repeat`).

  Returns:
    What `function` returns for all rows; arrays without rows, of the right shape, where B is 0.

  >>> map_batches(lambda x: 2 * x, jnp.arange(5), chunk_size=2).tolist()
  [0, 2, 4, 6, 8]
  """
  batch = arrays[0].shape[0]
  if chunk_size is not None:
    checks.count(chunk_size=chunk_size)
  if not batch:
    # Not called: some networks have no answer to no images, such as a reshape to (0, -1).
    one_row = (jax.ShapeDtypeStruct((1, *array.shape[1:]), array.dtype) for array in arrays)
    of_one = jax.eval_shape(function, *one_row)
    return jax.tree.map(lambda leaf: jnp.zeros((0, *leaf.shape[1:]), leaf.dtype), of_one)
  if not holds_loops:
    function = compiled_once(function)
  if chunk_size is None or batch <= chunk_size:
    return function(*arrays)
  chunks = math.ceil(batch / chunk_size)
  rows = math.ceil(batch / chunks)

  def on_rows_from(start: Array | int) -> Any:
    return function(*(jax.lax.dynamic_slice_in_dim(array, start, rows) for array in arrays))

  def one_chunk(i: Array | int, results: Any) -> Any:
    # The last chunk reaches back to fill itself: real examples that no model stumbles over.
    start = jnp.minimum(i * rows, batch - rows)
    return jax.tree.map(
      lambda result, part: jax.lax.dynamic_update_slice_in_dim(result, part, start, axis=0),
      results,
      on_rows_from(start),
    )

  # Written in place: `lax.map` would stack the chunks and copy them once more.
  shapes = jax.eval_shape(on_rows_from, 0)
  empty = jax.tree.map(lambda leaf: jnp.zeros((batch, *leaf.shape[1:]), leaf.dtype), shapes)
  return repeat(one_chunk, empty, times=chunks, unroll=False, holds_loops=True)


def fold_samples(
  sample: Callable[..., Array],
  *arrays: Array,
  samples: int,
  initial: Any = 0.0,
  combine: Callable[[Any, Array, Array | int], Any] = lambda state, value, number: state + value,
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> Any:
  """Reduces over `samples` evaluations per row without keeping them, by default to their sum.

  `state = combine(state, sample(i, row), i)` for i = 0 .. samples - 1. Row and number decide a
  value, so the result does not depend on `chunk_size`. Values in half precision are gathered in
  float32: a thousand of them in bfloat16 would sum to 256 times the first.

  Args:
    sample: (numbers [R], *arrays of R rows) -> values [R, ...], each from its own row and number.
    *arrays: arrays whose first axis is B.
    samples: number of values per row (static).
    initial: the first state: a pytree of numbers, broadcast to the shape of the values.
    combine: (state, values [B, ...], number) -> state.
    chunk_size: rows per call of `sample` (static): rows are taken in chunks of this many, and
      where fewer are there, several samples of each share a call. None: all rows, one sample.
    unroll: see `core.repeat`.

  Returns:
    The final state, whose leaves have the shape of the values [B, ...] and their dtype, float32 at
    least where they are floating-point numbers.

  >>> fold_samples(lambda i, x: i * x, jnp.array([1.0, 10.0]), samples=4, chunk_size=3).tolist()
  [6.0, 60.0]
  """
  checks.count(samples=samples)
  if chunk_size is not None:
    checks.count(chunk_size=chunk_size)
  per_call = (
    1 if chunk_size is None else min(samples, max(1, chunk_size // max(1, arrays[0].shape[0])))
  )

  def fold_rows(*rows: Array) -> Any:
    batch = rows[0].shape[0]

    def values(first: Array | int, count: int) -> Array:
      numbers = jnp.repeat(first + jnp.arange(count), batch)
      stacked = sample(numbers, *(jnp.concatenate([row] * count) for row in rows))
      if jnp.issubdtype(stacked.dtype, jnp.floating):
        stacked = widened(stacked)
      return stacked.reshape(count, batch, *stacked.shape[1:])

    def fold(first: Array | int, state: Any, count: int) -> Any:
      for i, value in enumerate(values(first, count)):
        following = combine(state, value, first + i)
        state = jax.tree.map(lambda new, old: new.astype(old.dtype), following, state)
      return state

    one = jax.eval_shape(lambda: values(0, 1)[0])
    state = jax.tree.map(lambda leaf: jnp.full(one.shape, leaf, one.dtype), initial)
    calls, rest = divmod(samples, per_call)
    state = repeat(
      lambda call, state: fold(call * per_call, state, per_call), state, times=calls, unroll=unroll
    )
    return fold(calls * per_call, state, rest) if rest else state

  return map_batches(fold_rows, *arrays, chunk_size=chunk_size, holds_loops=True)
