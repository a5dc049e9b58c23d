"""Prints the largest relative error, against NumPy's float64, of one sum that jax compiles.

  python tests/backend_sums.py squared_products

A jaxlib that gets one wrong may crash instead of answering, hence a program of its own.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np


def squared_products() -> float:
  """|Mx|^2 of many x: jaxlib 0.10.2 adds up too few products (jax-ml/jax#39103)."""
  x, matrix = positive((32_769, 3)), positive((3, 3))
  found = jax.jit(jax.vmap(lambda row: jnp.sum((matrix @ row) ** 2)))(x)
  return error(found, ((x.astype(np.float64) @ matrix.T.astype(np.float64)) ** 2).sum(1))


def sum_of_products() -> float:
  """Seven axes, one of length 1: jaxlib 0.10.2 crashes (jax-ml/jax#40412)."""
  left, right = positive((3, 1, 2, 2, 8, 8, 8)), positive((3, 1, 2, 2, 8, 8, 8))
  found = jax.jit(lambda a, b: jnp.sum(a * b, axis=3))(left, right)
  return error(found, (left.astype(np.float64) * right).sum(3))


def sum_of_broadcast_products() -> float:
  """Eight axes: jaxlib 0.10.2 and 0.11.0 crash (jax-ml/jax#39257)."""
  return _broadcast((2, 2, 2))


def sum_of_one_broadcast_product() -> float:
  """The same without a batch: jaxlib 0.11.0 answers, and is wrong."""
  return _broadcast((1, 1, 6))


def _broadcast(shape: tuple[int, int, int]) -> float:
  left, right = positive(shape)[..., *5 * (None,)], positive((*shape, 9, 9, 9, 9, 9))
  found = jax.jit(lambda a, b: jnp.sum(a * b, axis=2))(left, right)
  return error(found, (left.astype(np.float64) * right).sum(2))


def positive(shape: tuple[int, ...]) -> np.ndarray:
  """Numbers whose sums lose no digits."""
  return np.random.default_rng(0).uniform(1, 2, shape).astype(np.float32)


def error(found: jax.Array, expected: np.ndarray) -> float:
  return float(np.max(np.abs(np.asarray(found) / expected - 1)))


if __name__ == "__main__":
  print(globals()[sys.argv[1]]())
