"""What attributions check of the arguments that they share."""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core import Bounds, LogitsFn, checks

_BEYOND_BOUNDS = contextvars.ContextVar("beyond_bounds", default=False)


def check_arguments(
  logits_fn: LogitsFn,
  x: Array | np.ndarray,
  y: Array,
  *,
  bounds: Bounds | None = None,
  argument: str = "logits_fn",
) -> Array:
  """Validates what all attributions take.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C]; signals [B, L, C] and rows of features [B, D] pass, too.
    y: the classes to explain, int [B].
    bounds: (low, high) within which x must lie; None where the attribution has none.
    argument: what sentences call the network.

  Returns:
    x, which may have come as a NumPy array, in a dtype that JAX has.

  Raises:
    ValueError, TypeError: in a sentence that names the argument.
  """
  x = check_images(x, bounds=bounds)
  checks.labels(
    y, batch=x.shape[0], classes=checks.number_of_classes(logits_fn, x, argument=argument)
  )
  return x


def check_images(x: Array | np.ndarray, *, bounds: Bounds | None = None) -> Array:
  """The part of `check_arguments` that concerns x and its bounds."""
  if bounds is not None:
    checks.pixel_bounds(bounds)
  checks.images(x, bounds=None if _BEYOND_BOUNDS.get() else bounds)
  return jnp.asarray(x)


def check_maps(maps: Array | np.ndarray, x: Array) -> Array:
  """The maps as an array of JAX's.

  Raises:
    ValueError: if they are not of x's shape.
    TypeError: if they are no array of numbers.
  """
  checks.array(maps=maps)
  if maps.shape != x.shape:
    raise ValueError(f"maps must have the images' shape {x.shape}, got {maps.shape}")
  return jnp.asarray(maps)


@contextlib.contextmanager
def beyond_bounds() -> Iterator[None]:
  """Inside, images may leave their bounds: those that a method makes of others do so by design."""
  token = _BEYOND_BOUNDS.set(True)
  try:
    yield
  finally:
    _BEYOND_BOUNDS.reset(token)


def with_a_row(x: Array) -> Array:
  """x, or one image in its place where there is none: what networks are traced with."""
  return x if x.shape[0] else jnp.zeros((1, *x.shape[1:]), x.dtype)


def check_inner(attribution: Any) -> None:
  """Raises unless what is wrapped is a function; names are for configs."""
  if not callable(attribution):
    raise TypeError(
      "attribution must be a function (key, logits_fn, x, y) -> map, such as gradient or what "
      f'get_attribution({{"name": ...}}) gives, got {checks.shown(attribution)}'
    )


def baseline_images(baseline: Array | float, x: Array, *, argument: str = "baseline") -> Array:
  """The baseline of every image, in x's shape and dtype.

  Args:
    baseline: a number (traced), or an array that broadcasts to x.
    x: images [B, H, W, C].
    argument: what the caller calls it.

  Raises:
    ValueError: for NaN, infinity, or a shape that does not broadcast to x's.
    TypeError: for what are no numbers.

  >>> baseline_images(0.5, jnp.ones((1, 1, 2, 1))).ravel().tolist()
  [0.5, 0.5]
  """
  checks.finite(**{argument: baseline})
  images = jnp.asarray(baseline, x.dtype)
  try:
    return jnp.broadcast_to(images, x.shape)
  except ValueError:
    raise ValueError(
      f"{argument} must broadcast to the images' shape {x.shape}, got shape {images.shape}"
    ) from None
