"""Losses of the logits alone: cross-entropy and distillation, at a temperature."""

import optax
from jax import Array

from robust_saliency.core import LogitsFn, checks


def cross_entropy(
  logits_fn: LogitsFn, x: Array, y: Array, *, temperature: float | Array = 1.0
) -> Array:
  """-log softmax(z / T)_y, per example.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: classes, int [B].
    temperature: T (traced); above 1 for the teacher of a defensive distillation.

  Returns:
    Losses [B].

  Raises:
    ValueError: for a temperature that is not positive.

  >>> import jax.numpy as jnp
  >>> cross_entropy(lambda x: 0 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)), jnp.array([0])).tolist()
  [0.693]
  """
  return cross_entropy_of_logits(logits_fn(x), y, temperature=temperature)


def cross_entropy_of_logits(logits: Array, y: Array, *, temperature: float | Array = 1.0) -> Array:
  """`cross_entropy` for logits [B, K] that are there already."""
  checks.positive(temperature=temperature)
  return optax.losses.softmax_cross_entropy_with_integer_labels(logits / temperature, y)


def distillation(
  logits_fn: LogitsFn, x: Array, targets: Array, *, temperature: float | Array = 50.0
) -> Array:
  """Cross-entropy between a teacher's probabilities and softmax(z / T), per example.

  There is no factor T^2: the gradients shrink with 1/T, as in the source.

  Args:
    logits_fn: maps images [B, H, W, C] to the student's logits [B, K].
    x: images [B, H, W, C].
    targets: the teacher's probabilities at the same temperature, [B, K].
    temperature: T (traced).

  Returns:
    Losses [B].

  Raises:
    ValueError: for a temperature that is not positive.

  Source: Papernot et al. 2016, "Distillation as a defense"; Ross & Doshi-Velez 2018, equations 4
  and 5, T = 50.

  >>> import jax.numpy as jnp
  >>> distillation(
  ...   lambda x: 0 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)), jnp.array([[0.5, 0.5]])).tolist()
  [0.693]
  """
  return distillation_of_logits(logits_fn(x), targets, temperature=temperature)


def distillation_of_logits(
  logits: Array, targets: Array, *, temperature: float | Array = 50.0
) -> Array:
  """`distillation` for logits [B, K] that are there already."""
  checks.positive(temperature=temperature)
  return optax.losses.softmax_cross_entropy(logits / temperature, targets)
