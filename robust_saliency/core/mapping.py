"""Bounded memory: whatever multiplies the batch goes through here, `chunk_size` rows at a time."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.tracing import repeat


def map_batches(function: Callable[..., Any], *arrays: Array, chunk_size: int | None = None) -> Any:
  """`function(*arrays)` for a row-wise function, on at most `chunk_size` rows at a time.

  Args:
    function: maps arrays with B rows to a pytree of arrays with B rows, each row on its own.
    *arrays: arrays whose first axis is B.
    chunk_size: rows per call (static); None for all of them at once.

  Returns:
    What `function` returns for all rows.

  >>> map_batches(lambda x: 2 * x, jnp.arange(5), chunk_size=2).tolist()
  [0, 2, 4, 6, 8]
  """
  batch = arrays[0].shape[0]
  if chunk_size is not None:
    checks.count(chunk_size=chunk_size)
  if chunk_size is None or batch <= chunk_size:
    return function(*arrays)
  chunks = math.ceil(batch / chunk_size)
  rows = math.ceil(batch / chunks)
  # The last rows again fill the last chunk, real examples that no model stumbles over.
  filled = jnp.minimum(jnp.arange(chunks * rows), batch - 1).reshape(chunks, rows)

  def one_chunk(indices: Array) -> Any:
    return function(*(array[indices] for array in arrays))

  stacked = jax.lax.map(one_chunk, filled)
  return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:batch], stacked)


def fold_samples(
  sample: Callable[[Array, Array, Array], Array],
  combine: Callable[[Any, Array, Array], Any],
  initial: Callable[[Array], Any],
  keys: Array,
  x: Array,
  y: Array,
  *,
  samples: int,
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> Any:
  """Folds `samples` random maps of each image into one result, without keeping them.

  `state = combine(state, map_i, i)` for i = 0 .. samples - 1, started from `initial(x)`. Sample i
  of an image depends on that image's key and on i alone, whatever the chunks are.

  Args:
    sample: (keys [R], x [R, ...], y [R], i [R]) is called as `sample(keys, x, y)` with keys that
      are already folded with the sample's number; gives maps [R, ...].
    combine: (state of B rows, maps [B, ...], number i) -> state of B rows.
    initial: images [B, ...] -> state.
    keys: one key per image [B].
    x: images [B, ...].
    y: classes [B].
    samples: number of samples per image (static).
    chunk_size: rows per call of `sample` (static): images are taken in chunks of this many, and
      where fewer are left, several samples of each share a call. None: all images, one sample.
    unroll: see `core.repeat`.

  Returns:
    The final state of all images.
  """
  checks.count(samples=samples)
  if chunk_size is not None:
    checks.count(chunk_size=chunk_size)
  per_call = 1 if chunk_size is None else min(samples, max(1, chunk_size // x.shape[0]))

  def fold_chunk(keys: Array, x: Array, y: Array) -> Any:
    batch = x.shape[0]

    def draw(first: Array | int, state: Any, count: int) -> Any:
      numbers = first + jnp.arange(count)
      sample_keys = jax.vmap(
        lambda number: jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, number)
      )(numbers)
      maps = sample(
        sample_keys.reshape(-1), jnp.tile(x, (count, *[1] * (x.ndim - 1))), jnp.tile(y, count)
      )
      for i, one in enumerate(maps.reshape(count, batch, *maps.shape[1:])):
        state = combine(state, one, first + i)
      return state

    calls, rest = divmod(samples, per_call)
    state = repeat(
      lambda call, state: draw(call * per_call, state, per_call),
      initial(x),
      times=calls,
      unroll=unroll,
    )
    return draw(calls * per_call, state, rest) if rest else state

  return map_batches(fold_chunk, keys, x, y, chunk_size=chunk_size)
