"""Randomness per example, so that results do not depend on batch size, chunks or devices."""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core.types import Key


def example_keys(key: Key, batch: int) -> Array:
  """One typed key per example.

  One key is folded with each example's position in the batch. Drivers that cut a data set into
  batches pass B keys themselves, `fold_in(key, index in the data set)`, so that an example's
  result does not depend on the other examples in the batch.

  Args:
    key: one key, typed (`jax.random.key`) or raw (`jax.random.PRNGKey`), or an array of B keys.
    batch: the number B of examples.

  Returns:
    Typed keys [B].

  Raises:
    TypeError: if `key` is not a key.
    ValueError: if there are keys for another number of examples.

  >>> example_keys(jax.random.key(0), 3).shape
  (3,)
  """
  if not hasattr(key, "dtype"):
    raise TypeError(f"key must be a PRNG key from jax.random.key(seed), got {key!r}")
  if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
    if key.dtype != jnp.uint32 or key.ndim not in (1, 2) or key.shape[-1] != 2:
      raise TypeError(
        f"key must be a PRNG key from jax.random.key(seed), got {key.dtype} of shape {key.shape}"
      )
    key = jax.random.wrap_key_data(key)
  if key.ndim == 0:
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(batch))
  if key.shape != (batch,):
    raise ValueError(f"key must be one key or one per example ({batch}), got shape {key.shape}")
  return key
