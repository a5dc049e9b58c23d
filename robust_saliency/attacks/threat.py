"""The threat model: which images an attack may reach, and where it may start."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core import Key, LogitsFn, Norm, PixelBounds, checks
from robust_saliency.core.tracing import wide_dtype

_Function = TypeVar("_Function", bound=Callable[..., Array])


def radius_per_channel(attack: _Function) -> _Function:
  """Lets an attack with an `epsilon` take one for each channel, as normalised images need it.

  Its ball is then {x': ||(x' - x) / epsilon||_p <= 1}. With u = x / unit and unit = epsilon /
  max(epsilon) that is the ball of the radius max(epsilon) around u, in which the attack is run.

  Args:
    attack: `(key, logits_fn, x, y, *, epsilon, bounds, ...) -> x_adv` for one radius. If it has a
      `step_size`, that may be one per channel, too; one number is in linf a step of pixels in each
      channel, and in l2 and l1 a length in the norm of the ball.

  Returns:
    The same function, where epsilon may be [C], C being the last axis of the images.
  """
  parameters = inspect.signature(attack).parameters
  default_norm = parameters["norm"].default if "norm" in parameters else "linf"

  @functools.wraps(attack)
  def with_radii(
    key: Key,
    logits_fn: LogitsFn,
    x: Array,
    y: Array,
    *,
    bounds: PixelBounds = (0.0, 1.0),
    **settings: Any,
  ) -> Array:
    epsilon: Any = settings.get("epsilon")
    if not np.ndim(epsilon):
      return attack(key, logits_fn, x, y, bounds=bounds, **settings)
    check_attack_arguments(logits_fn, x, y, epsilon=0.0, bounds=bounds)
    check_per_channel(x, epsilon=epsilon)
    epsilon = jnp.asarray(epsilon)
    largest = jnp.max(epsilon)
    # A channel without a radius moves by less than rounding, and is given back as it was.
    ratio = epsilon / jnp.where(largest > 0, largest, 1.0)
    # In half precision the bounds of such a channel would be infinite.
    wide = wide_dtype(x)
    unit = jnp.where(epsilon > 0, ratio, jnp.finfo(x.dtype).eps).astype(wide)
    low, high = ((jnp.asarray(bound) / unit).astype(wide) for bound in bounds)
    if settings.get("step_size") is not None:
      check_per_channel(x, step_size=settings["step_size"])
      step_size = jnp.asarray(settings["step_size"])
      # One length of a step of l2 or l1 is meant in the ball's own norm: per channel, most of it
      # would go where the ball is thin.
      if step_size.ndim or settings.get("norm", default_norm) == "linf":
        step_size = jnp.where(epsilon > 0, step_size / unit, 0.0)
      settings["step_size"] = step_size
    start = jnp.clip(x.astype(wide) / unit, low, high)
    found = attack(
      key,
      lambda images: logits_fn((images * unit).astype(x.dtype)),
      start,
      y,
      bounds=(low, high),
      **{**settings, "epsilon": largest},
    )
    moved = (found != start) & (epsilon > 0)
    x_adv = jnp.where(moved, jnp.clip(found * unit, *bounds).astype(x.dtype), x)
    return jax.lax.stop_gradient(x_adv)

  return cast(_Function, with_radii)


def within_ball(
  norm: Norm, epsilon: Array | float, bounds: PixelBounds
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


def start_near(deviation: float) -> Callable[[Key, Array], Array]:
  """(key, image) -> the image plus normal noise of this standard deviation."""

  def initialize(key: Key, image: Array) -> Array:
    return image + (deviation * jax.random.normal(key, image.shape)).astype(image.dtype)

  return initialize


def flat_bounds(bounds: PixelBounds, shape: tuple[int, ...]) -> PixelBounds:
  """Bounds that broadcast over the flattened numbers of an image of this shape."""
  return cast(
    PixelBounds,
    tuple(jnp.broadcast_to(one, shape).reshape(-1) if np.ndim(one) else one for one in bounds),
  )


def check_numbers(**numbers: Array | float) -> None:
  """Raises unless each value is one number >= 0: `check_numbers(epsilon=epsilon)`."""
  checks.scalar(**numbers)
  checks.non_negative(**numbers)


def check_per_channel(x: Array, **numbers: Array | float) -> None:
  """Raises unless each value is one number >= 0, or one for each channel of the images."""
  checks.per_channel(x.shape[-1], **numbers)
  checks.non_negative(**numbers)


def check_attack_arguments(
  logits_fn: LogitsFn, x: Array, y: Array, *, epsilon: Array | float, bounds: PixelBounds
) -> int:
  """Validates the arguments that all attacks share; returns the number of classes."""
  checks.images(x, bounds=bounds, per_channel=True)
  check_numbers(epsilon=epsilon)
  classes = checks.number_of_classes(logits_fn, x)
  checks.labels(y, batch=x.shape[0], classes=classes)
  return classes
