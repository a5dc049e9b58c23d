"""An attack as a function of rows, and whether it could run on them at all."""

import functools
import zlib
from collections.abc import Callable, Mapping

import jax
import numpy as np
from jax import Array

from robust_saliency.core import Attack, LogitsFn, checks


def attack_on_rows(attack: Attack, logits_fn: LogitsFn, keys: Array, name: str) -> Callable:
  """(None, key data, images, classes) -> the attack's images, for `RowPrograms`.

  Args:
    attack: any `(key, logits_fn, x, y) -> x_adv`.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    keys: of the examples; only their implementation counts.
    name: the attack's, which gives it random numbers of its own.
  """
  implementation = jax.random.key_impl(keys)
  # Not the attack's place in the list, so that others may join it.
  purpose = zlib.crc32(name.encode())

  def on_rows(_: None, key_data: Array, x: Array, y: Array) -> Array:
    own = jax.random.wrap_key_data(key_data, impl=implementation)
    return attack(
      jax.vmap(functools.partial(jax.random.fold_in, data=purpose))(own), logits_fn, x, y
    )

  return on_rows


def refuse_by_tracing(
  attacks: Mapping[str, Attack],
  keys: Array,
  logits_fn: LogitsFn,
  x: Array | np.ndarray,
  y: Array | np.ndarray,
  *,
  batch_size: int,
) -> None:
  """Raises for an attack that could not run on these images, before hours of others have passed.

  Args:
    attacks: name -> attack.
    keys: one PRNG key per example [N].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [N, H, W, C].
    y: the true classes, int [N].
    batch_size: the most examples per call.

  Raises:
    ValueError, TypeError: naming the attack.
  """
  rows = slice(min(batch_size, len(x)))
  data = jax.random.key_data(keys)[rows]
  for name, attack in attacks.items():
    on_rows = attack_on_rows(attack, logits_fn, keys, name)
    with checks.naming(f"attack {name!r}"):
      made = jax.eval_shape(functools.partial(on_rows, None), data, x[rows], y[rows])
      if getattr(made, "shape", None) != x[rows].shape:
        raise ValueError(f"it must return images of x's shape {x[rows].shape}, got {made}")
