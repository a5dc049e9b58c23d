"""The threat model: which images an attack may reach, and where it may start."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array

from robust_saliency.core import Bounds, Key, LogitsFn, Norm, checks


def within_ball(
  norm: Norm, epsilon: Array | float, bounds: Bounds
) -> Callable[[Array, Array], Array]:
  """(candidate, image) -> the candidate brought back into the ball, then into the bounds.

  Clipping after projecting keeps both: the image lies within the bounds, so clipping moves no
  pixel further from it. The result has the image's dtype, whatever epsilon and bounds have.
  """

  def project(candidate: Array, image: Array) -> Array:
    allowed = jnp.clip(image + norm.project(candidate - image, epsilon), *bounds)
    return allowed.astype(image.dtype)

  return project


def start_in_ball(norm: Norm, epsilon: Array | float) -> Callable[[Key, Array], Array]:
  """(key, image) -> the image plus a uniform random point of the ball."""

  def initialize(key: Key, image: Array) -> Array:
    return image + norm.random(key, image.shape, epsilon).astype(image.dtype)

  return initialize


def check_numbers(**numbers: Array | float) -> None:
  """Raises unless each value is one number >= 0: `check_numbers(epsilon=epsilon)`."""
  checks.scalar(**numbers)
  checks.non_negative(**numbers)


def check_attack_arguments(
  logits_fn: LogitsFn, x: Array, y: Array, *, epsilon: Array | float, bounds: Bounds
) -> int:
  """Validates the arguments that all attacks share; returns the number of classes."""
  checks.pixel_bounds(bounds)
  checks.images(x, bounds=bounds)
  check_numbers(epsilon=epsilon)
  classes = checks.number_of_classes(logits_fn, x)
  checks.labels(y, batch=x.shape[0], classes=classes)
  return classes
