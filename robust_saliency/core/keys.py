"""Randomness per example, so that results do not depend on batch size, chunks or devices."""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core.checks import shown
from robust_saliency.core.types import Key

# The generator whose draws under `vmap` are those of each key by itself.
THREEFRY = "threefry2x32"
_THREEFRY_WORDS = 2


def example_keys(key: Key, batch: int) -> Array:
  """One typed key per example.

  One key is folded with each example's position in the batch. Drivers that cut a data set into
  batches pass B keys themselves, `fold_in(key, index in the data set)`, so that an example's
  result does not depend on the other examples in the batch.

  Keys of other generators ("rbg", "unsafe_rbg") are turned into threefry keys first: under `vmap`
  those generators draw for the whole batch from its first key, so that a result would depend on
  the batch. An "rbg" key that comes from a seed gives what threefry's key of that seed gives, and
  `fold_in(key, index)` what the position gives. Whoever folds numbers into "unsafe_rbg" keys under
  `vmap` folds them into `as_threefry(key)` instead, or the keys themselves depend on the batch.

  Args:
    key: one key, typed (`jax.random.key`) or raw (`jax.random.PRNGKey`, of the generator that
      `jax_default_prng_impl` names), or an array of B keys.
    batch: the number B of examples.

  Returns:
    Typed threefry keys [B].

  Raises:
    TypeError: if `key` is not a key.
    ValueError: if there are keys for another number of examples.

  >>> example_keys(jax.random.key(0), 3).shape
  (3,)
  """
  key = _typed(key)
  if key.ndim == 0:
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(as_threefry(key), jnp.arange(batch))
  if key.shape != (batch,):
    raise ValueError(f"key must be one key or one per example ({batch}), got shape {key.shape}")
  return as_threefry(key)


def as_threefry(key: Key) -> Array:
  """The same keys, typed, where they are threefry's; else threefry keys made of all their words.

  The package's own drivers fold the numbers of examples into these.

  Args:
    key: one key, typed or raw, or an array of them.

  Raises:
    TypeError: if `key` is not a key.

  >>> seed = jax.random.key(3, impl="rbg")
  >>> bool(as_threefry(seed) == jax.random.key(3, impl="threefry2x32"))
  True
  """
  key = _typed(key)
  if str(jax.random.key_impl(key)) == THREEFRY:
    return key
  words = jax.random.key_data(key)
  first, rest = words[..., :_THREEFRY_WORDS], words[..., _THREEFRY_WORDS:]
  plain = mixed = jax.random.wrap_key_data(first, impl=THREEFRY)
  fold_in = jax.random.fold_in if key.ndim == 0 else jax.vmap(jax.random.fold_in)
  for i in range(rest.shape[-1]):
    mixed = fold_in(mixed, rest[..., i])
  if rest.shape != first.shape:
    return mixed
  # An "rbg" key that comes from a seed is threefry's, twice; so are those split or folded from it.
  return jnp.where(jnp.all(first == rest, axis=-1), plain, mixed)


def _typed(key: Key) -> Array:
  if not hasattr(key, "dtype"):
    raise TypeError(f"key must be a PRNG key from jax.random.key(seed), got {shown(key)}")
  if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
    return key
  try:
    if key.ndim not in (1, 2):
      raise TypeError
    return jax.random.wrap_key_data(key)  # knows how wide the default generator's keys are
  except (TypeError, ValueError):
    raise TypeError(
      f"key must be a PRNG key from jax.random.key(seed), got {key.dtype} of shape {key.shape}"
    ) from None
