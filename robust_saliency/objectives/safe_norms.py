"""Norms and cosines of gradients that are differentiated again: finite, with their slopes, at 0."""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core.tracing import widened


def squared_lengths(values: Array) -> Array:
  """||v_n||^2 of each example, in float32 at least.

  Args:
    values: [B, ...].

  Returns:
    [B].

  >>> squared_lengths(jnp.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
  [25.0, 0.0]
  """
  return jnp.sum(widened(values) ** 2, axis=tuple(range(1, values.ndim)))


def root(squares: Array) -> Array:
  """sqrt(s), with slope 0 where s is 0 instead of an infinite one.

  >>> jax.vmap(jax.value_and_grad(root))(jnp.array([0.0, 4.0]))
  (Array([0., 2.], dtype=float32), Array([0.  , 0.25], dtype=float32))
  """
  positive = squares > 0
  return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1)), 0)


def cosine(a: Array, b: Array) -> Array:
  """<a_n, b_n> / (||a_n|| ||b_n||) of each example, whatever their scales.

  Where one of them is zero, the cosine is 0 and has no slope: an example without a gradient or
  with an empty map takes no part in what is learnt. So it is where all numbers of one are below
  1e-31 (in float32), where they lose their digits and one over their length would leave its range.

  Args:
    a: [B, ...].
    b: of the same shape.

  Returns:
    [B], in float32 at least.

  >>> cosine(jnp.array([[3e-20, 4e-20], [0.0, 0.0]]), jnp.array([[1.0, 0.0], [1.0, 0.0]])).tolist()
  [0.6, 0.0]
  """
  return jnp.sum(_directions(a) * _directions(b), axis=tuple(range(1, a.ndim)))


def _directions(values: Array) -> Array:
  """v_n / ||v_n|| of each example."""
  values = widened(values)
  axes = tuple(range(1, values.ndim))
  # A direction does not depend on the number by which it is scaled, which may then be a constant.
  largest = jax.lax.stop_gradient(jnp.max(jnp.abs(values), axis=axes, keepdims=True, initial=0))
  limits = jnp.finfo(values.dtype)
  has_one = largest > float(limits.tiny) / float(limits.eps)
  scaled = jnp.where(has_one, values, 0) / jnp.where(has_one, largest, 1)
  return scaled / jnp.where(has_one, root(jnp.sum(scaled**2, axis=axes, keepdims=True)), 1)
