"""What an attack or an attribution is called with: images, classes, a network."""

import inspect
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core.checks.numbers import as_numbers, is_concrete, per_channel
from robust_saliency.core.checks.words import shown
from robust_saliency.core.types import PixelBounds

# Sums of float32 pixels such as x + (x_adv - x) may leave the bounds by a few units in the last
# place; nothing that a person means by "outside the bounds" is as small. Of the larger bound, where
# that is above 1.
BOUNDS_TOLERANCE = 1e-5


def pixel_bounds(bounds: PixelBounds | None, *, channels: int | None = None) -> None:
  """Raises unless the bounds are a pair (low, high) of finite numbers with low < high.

  With `channels`, each of the two may also be an array with a number for each channel.
  """
  if not isinstance(bounds, Sequence) or isinstance(bounds, str) or len(bounds) != 2:
    raise ValueError(f"bounds must be a pair (low, high), got {shown(bounds)}")
  if channels is not None:
    for bound in bounds:
      if isinstance(bound, (list, tuple)):
        raise TypeError(f"bounds per channel must be arrays, got {shown(bound)}")
    per_channel(channels, **{"low of bounds": bounds[0], "high of bounds": bounds[1]})
  if all(map(is_concrete, bounds)):
    try:
      low, high = (as_numbers(bound) for bound in bounds)
      if channels is None and (low.ndim or high.ndim):
        raise TypeError
    except (TypeError, ValueError, OverflowError):
      raise TypeError(f"bounds must be a pair of numbers, got {shown(bounds)}") from None
    if not np.all(np.isfinite(low) & np.isfinite(high) & (low < high)):
      raise ValueError(f"bounds must be finite with low < high, got ({low}, {high})")


def some_bounds(bounds: PixelBounds) -> None:
  """Raises for what are the bounds of no image, whatever number of channels it has.

  >>> some_bounds((0, jnp.array([1.0, 0.0])))
  Traceback (most recent call last):
  ValueError: bounds must be finite with low < high, got (0.0, [1. 0.])
  """
  several = [np.size(one) for one in bounds if np.ndim(one)] if _is_pair(bounds) else []
  pixel_bounds(bounds, channels=several[0] if several else None)


def _is_pair(value: Any) -> bool:
  return isinstance(value, Sequence) and not isinstance(value, (str, bytes)) and len(value) == 2


def images(
  x: Array | np.ndarray,
  *,
  bounds: PixelBounds | None = None,
  per_channel: bool = False,
  argument: str = "x",
) -> None:
  """Raises unless x is a batch of floating-point images [B, ...] with values within the bounds.

  With `per_channel` there must be bounds, and they may differ along x's last axis.

  >>> images(jnp.zeros((2, 8, 8, 1), jnp.uint8))
  Traceback (most recent call last):
  TypeError: x must hold floating-point pixels, got uint8; convert with x.astype(jnp.float32) / 255
  """
  if not hasattr(x, "dtype") or not hasattr(x, "ndim"):
    raise TypeError(f"{argument} must be an array of images [batch, ...], got {type(x).__name__}")
  if not jnp.issubdtype(x.dtype, jnp.floating):
    raise TypeError(
      f"{argument} must hold floating-point pixels, got {x.dtype}; "
      f"convert with {argument}.astype(jnp.float32) / 255"
    )
  if x.ndim < 2:
    raise ValueError(f"{argument} must have a batch axis [batch, ...], got shape {x.shape}")
  if bounds is not None or per_channel:
    pixel_bounds(bounds, channels=x.shape[-1] if per_channel else None)
  if x.size and is_concrete(x):
    low, high = map(float, _extremes(x))
    if not (math.isfinite(low) and math.isfinite(high)):
      raise ValueError(f"{argument} must be finite, got NaN or infinite pixels")
    if bounds is not None and all(map(is_concrete, bounds)):
      lowest, highest, channel = *bounds, ""
      if any(map(np.ndim, bounds)):
        low, high, lowest, highest, channel = _outermost_channel(x, *bounds)
      tolerance = BOUNDS_TOLERANCE * max(1.0, abs(float(lowest)), abs(float(highest)))
      if low < lowest - tolerance or high > highest + tolerance:
        raise ValueError(
          f"{argument} must lie within bounds ({lowest}, {highest}), "
          f"got values from {low:.6g} to {high:.6g}{channel}"
        )


def labels(y: Array, *, batch: int, classes: int | None = None, argument: str = "y") -> None:
  """Raises unless y is an integer array [batch] with values in [0, classes).

  >>> labels(jnp.array([0, 10]), batch=2, classes=10)
  Traceback (most recent call last):
  ValueError: y must hold classes 0 to 9, got 10
  """
  if y is None or not hasattr(y, "dtype") or not jnp.issubdtype(y.dtype, jnp.integer):
    given = getattr(y, "dtype", type(y).__name__)
    raise TypeError(f"{argument} must hold integer classes [batch], got {given}")
  if y.shape != (batch,):
    raise ValueError(f"{argument} must have one class per image, shape ({batch},), got {y.shape}")
  if classes is not None and y.size and is_concrete(y):
    low, high = map(int, _extremes(y))
    if low < 0 or high >= classes:
      raise ValueError(
        f"{argument} must hold classes 0 to {classes - 1}, got {low if low < 0 else high}"
      )


def function(**arguments: Any) -> None:
  """Raises unless each value can be called: `function(logits_fn=logits_fn)`."""
  for name, value in arguments.items():
    if not callable(value):
      raise TypeError(f"{name} must be a function, got {shown(value)}")


def network(logits_fn: Any) -> None:
  """Raises unless this is a function that takes images and needs nothing else.

  >>> network(lambda x, train: x)
  Traceback (most recent call last):
  TypeError: logits_fn must be a function of images alone: missing a required argument: 'train'
  """
  function(logits_fn=logits_fn)
  try:
    inspect.signature(logits_fn).bind(None)
  except ValueError:  # a built-in function has no signature
    return
  except TypeError as error:
    raise TypeError(f"logits_fn must be a function of images alone: {error}") from None


def array(**arguments: Any) -> None:
  """Raises unless each value is an array of numbers, JAX's or NumPy's: `array(maps=maps)`.

  >>> array(maps=[[0.5]])
  Traceback (most recent call last):
  TypeError: maps must be an array of numbers, got list
  """
  for name, value in arguments.items():
    dtype = getattr(value, "dtype", None)
    if dtype is None or not hasattr(value, "ndim") or not jnp.issubdtype(dtype, jnp.number):
      given = type(value).__name__ if dtype is None else dtype
      raise TypeError(f"{name} must be an array of numbers, got {given}")


def number_of_classes(
  logits_fn: Any, x: Array, *, minimum: int = 2, argument: str = "logits_fn"
) -> int:
  """K of logits [B, K], found by tracing; raises for any other output.

  Raises:
    ValueError: where the output has another shape, or fewer than `minimum` classes, or where the
      network is a Flax NNX module in training mode.
    TypeError: where it is no function of images alone, or gives whole numbers or truth values, of
      which no gradient is to be had; functions that need none take them through `tracing.floating`.
  """
  network(logits_fn)
  # Of no images some networks cannot be asked, since a reshape to (0, -1) has no answer.
  batch = max(1, x.shape[0])
  try:
    logits = jax.eval_shape(logits_fn, jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype))
  except Exception as error:
    # Flax's, by name: nothing here needs Flax otherwise.
    if type(error).__name__ != "TraceContextError":
      raise
    raise ValueError(
      f"{argument} must be a network in evaluation mode, that is, change nothing of its own when "
      "called: call `model.eval()` first, or `nnx.view(model, deterministic=True, "
      f"use_running_average=True)`; got {type(error).__name__}"
    ) from error
  shape = getattr(logits, "shape", None)
  if shape is None or len(shape) != 2 or shape[0] != batch:
    raise ValueError(
      f"{argument} must map images {(batch, *x.shape[1:])} to logits ({batch}, classes), got "
      f"{shape if shape is not None else type(logits).__name__}"
    )
  if shape[1] < minimum:
    raise ValueError(f"{argument} must give at least {minimum} classes, got {shape[1]}")
  if not jnp.issubdtype(logits.dtype, jnp.floating):
    raise TypeError(f"{argument} must give floating-point logits, got {logits.dtype}")
  return int(shape[1])


def _extremes(
  array: Array | np.ndarray, axis: tuple[int, ...] | None = None
) -> tuple[Array, Array]:
  # Inside `jit` even constants would be traced; these are known now.
  with jax.ensure_compile_time_eval():
    return jnp.min(array, axis=axis), jnp.max(array, axis=axis)


def _outermost_channel(
  x: Array | np.ndarray, low: Array | float, high: Array | float
) -> tuple[float, float, float, float, str]:
  """The extremes and the bounds of the channel that goes farthest beyond them, and its number."""
  extremes = _extremes(x, axis=tuple(range(x.ndim - 1)))
  numbers = np.stack(
    [np.broadcast_to(np.asarray(one, np.float64), x.shape[-1:]) for one in (*extremes, low, high)]
  )
  worst = int(np.argmax(np.maximum(numbers[2] - numbers[0], numbers[1] - numbers[3])))
  least, most, lowest, highest = map(float, numbers[:, worst])
  return least, most, lowest, highest, f" in channel {worst}"
