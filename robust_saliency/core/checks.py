"""Argument checks: one line at the call, one sentence for the person who reads the error.

Shapes, dtypes and names are known while a function is traced and are always checked. Values are
checked where they are concrete; inside `jit`, `vmap` or `grad` they are not known and pass.
"""

import contextlib
import difflib
import inspect
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core.types import PixelBounds

# Sums of float32 pixels such as x + (x_adv - x) may leave the bounds by a few units in the last
# place; nothing that a person means by "outside the bounds" is as small. Of the larger bound, where
# that is above 1.
BOUNDS_TOLERANCE = 1e-5

# JAX's default integers end here.
LARGEST_COUNT = 2**31 - 1

SHOWN = 60  # characters of a value that a sentence repeats
LISTED = 8  # names that a sentence lists of those that are allowed


@contextlib.contextmanager
def naming(where: str) -> Iterator[None]:
  """Puts the place in front of the sentences that are raised inside.

  >>> with naming("attack 'fgsm'"):
  ...   positive(steps=0)
  Traceback (most recent call last):
  ValueError: attack 'fgsm': steps must be > 0, got 0
  """
  try:
    yield
  except (ValueError, TypeError) as error:
    kind = TypeError if isinstance(error, TypeError) else ValueError
    raise kind(f"{where}: {error}") from error


def is_concrete(value: Any) -> bool:
  """Whether the value is known now, that is, whether this is not a trace."""
  return not isinstance(value, jax.core.Tracer)


def non_negative(**arguments: Any) -> None:
  """Raises unless each value is finite and >= 0: `non_negative(epsilon=epsilon)`.

  >>> non_negative(epsilon=-0.1)
  Traceback (most recent call last):
  ValueError: epsilon must be >= 0, got -0.1
  """
  for name, value in arguments.items():
    _check_numbers(name, value, lambda v: v >= 0, ">= 0")


def positive(**arguments: Any) -> None:
  """Raises unless each value is finite and > 0: `positive(steps=steps)`."""
  for name, value in arguments.items():
    _check_numbers(name, value, lambda v: v > 0, "> 0")


def non_zero(**arguments: Any) -> None:
  """Raises unless each value is finite and not 0."""
  for name, value in arguments.items():
    _check_numbers(name, value, lambda v: v != 0, "!= 0")


def fraction(**arguments: Any) -> None:
  """Raises unless each value is a number in [0, 1]."""
  between(0, 1, **arguments)


def between(low: float, high: float, **arguments: Any) -> None:
  """Raises unless each value is a number in [low, high]: `between(0, 100, percentile=99.0)`."""
  for name, value in arguments.items():
    _check_numbers(name, value, lambda v: (v >= low) & (v <= high), f"between {low} and {high}")


def finite(**arguments: Any) -> None:
  """Raises unless each value is a finite number, or an array of them.

  >>> finite(baseline=float("nan"))
  Traceback (most recent call last):
  ValueError: baseline must be of finite size, got nan
  """
  for name, value in arguments.items():
    _check_numbers(name, value, np.isfinite, "of finite size")


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


def count(minimum: int = 1, *, maximum: int = LARGEST_COUNT, **arguments: Any) -> None:
  """Raises unless minimum <= each value <= maximum, all integers: `count(steps=steps)`.

  Counts shape the program, so they must be Python (or NumPy) integers, never traced.

  >>> count(steps=2.5)
  Traceback (most recent call last):
  TypeError: steps must be a whole number known when the function is traced, got 2.5
  """
  for name, value in arguments.items():
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
      raise TypeError(
        f"{name} must be a whole number known when the function is traced, got {shown(value)}"
      )
    if value < minimum:
      raise ValueError(f"{name} must be >= {minimum}, got {shown(value)}")
    if value > maximum:
      raise ValueError(f"{name} must be at most {maximum}, got {shown(value)}")


def unrolled(unroll: Any) -> None:
  """Raises unless this says how many steps of a loop share one pass: see `core.repeat`."""
  if unroll is not None and not isinstance(unroll, (bool, np.bool_)):
    try:
      count(0, unroll=unroll)
    except TypeError:
      raise TypeError(
        f"unroll must be True, False, None or a number of steps, got {shown(unroll)}"
      ) from None


def flag(**arguments: Any) -> None:
  """Raises unless each value is True or False; the text "False" would count as true."""
  for name, value in arguments.items():
    if not isinstance(value, (bool, np.bool_)):
      raise TypeError(f"{name} must be True or False, got {shown(value)}")


def text(**arguments: Any) -> None:
  """Raises unless each value is a string that can be printed and is not empty: `text(label=label)`.

  >>> text(label="")
  Traceback (most recent call last):
  TypeError: label must be text that can be printed, got ''
  """
  for name, value in arguments.items():
    if not isinstance(value, str) or not value.strip() or not value.replace("\n", "").isprintable():
      raise TypeError(f"{name} must be text that can be printed, got {shown(value)}")


def mapping(**arguments: Any) -> None:
  """Raises unless each value is a mapping of names to values, as a config's entries are.

  >>> mapping(attack="pgd")
  Traceback (most recent call last):
  TypeError: attack must be a mapping such as {"name": ...}, got 'pgd'
  """
  for name, value in arguments.items():
    # ml_collections' ConfigDict is no Mapping.
    if not isinstance(value, Mapping) and not hasattr(value, "keys"):
      raise TypeError(f'{name} must be a mapping such as {{"name": ...}}, got {shown(value)}')


def one_of(value: Any, allowed: Iterable[str], *, argument: str) -> None:
  """Raises unless the value is an allowed name, and suggests the nearest one.

  >>> one_of("l3", ("linf", "l2", "l1"), argument="norm")
  Traceback (most recent call last):
  ValueError: norm must be one of linf, l2, l1; got 'l3' (did you mean 'l2'?)
  """
  names = list(allowed)
  # An array would be compared entry by entry.
  if isinstance(value, str) and value in names:
    return
  raise ValueError(
    f"{argument} must be one of {listed(names)}; got {shown(value)}{did_you_mean(value, names)}"
  )


def listed(names: Iterable[str]) -> str:
  """Names as a sentence lists them: not all of many.

  >>> listed("abc"), listed("abcdefghijkl")
  ('a, b, c', 'a, b, c, d, e, f, g, h, ...')
  """
  names = list(names)
  return ", ".join([*names[:LISTED], *(["..."] if len(names) > LISTED else [])])


def shown(value: Any) -> str:
  """A value as a sentence repeats it: not at length.

  >>> shown("a" * 100)[-8:]
  'aaaa ...'
  """
  try:
    text = " ".join(repr(value).split())
  except ValueError:  # whole numbers of thousands of digits
    text = f"a {type(value).__name__} too long to print"
  return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."


def did_you_mean(value: Any, allowed: Iterable[str]) -> str:
  """The suffix ` (did you mean 'pgd'?)` where a known name is near, otherwise nothing."""
  if not isinstance(value, str):
    return ""
  near = difflib.get_close_matches(value, list(allowed), n=1, cutoff=0.5)
  return f" (did you mean {near[0]!r}?)" if near else ""


def scalar(**arguments: Any) -> None:
  """Raises for arrays of several numbers, which would silently broadcast over the pixels.

  >>> scalar(epsilon=jnp.array([0.1, 0.2]))
  Traceback (most recent call last):
  ValueError: epsilon must be one number, got shape (2,); take several with jax.vmap
  """
  for name, value in arguments.items():
    try:
      shape = np.shape(value)
    except ValueError:  # lists of several lengths
      raise ValueError(f"{name} must be one number, got {shown(value)}") from None
    if shape:
      raise ValueError(f"{name} must be one number, got shape {shape}; take several with jax.vmap")


def per_channel(channels: int, **arguments: Any) -> None:
  """Raises unless each value is one number or has one for each channel: shape () or (channels,).

  >>> per_channel(3, epsilon=jnp.array([0.1, 0.2]))
  Traceback (most recent call last):
  ValueError: epsilon must be one number or one for each channel, shape (3,), got shape (2,)
  """
  for name, value in arguments.items():
    allowed = f"{name} must be one number or one for each channel, shape ({channels},)"
    try:
      shape = np.shape(value)
    except ValueError:  # a list of lists of several lengths
      raise ValueError(f"{allowed}, got {shown(value)}") from None
    if shape not in ((), (channels,)):
      raise ValueError(f"{allowed}, got shape {shape}")


def pixel_bounds(bounds: PixelBounds | None, *, channels: int | None = None) -> None:
  """Raises unless the bounds are a pair (low, high) of finite numbers with low < high.

  With `channels`, each of the two may also be an array with a number for each channel.
  """
  if not isinstance(bounds, Sequence) or isinstance(bounds, str) or len(bounds) != 2:
    raise ValueError(f"bounds must be a pair (low, high), got {shown(bounds)}")
  if channels is not None:
    per_channel(channels, **{"low of bounds": bounds[0], "high of bounds": bounds[1]})
  if all(map(is_concrete, bounds)):
    try:
      low, high = (_as_numbers(bound) for bound in bounds)
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


def number_of_classes(logits_fn: Any, x: Array, *, minimum: int = 2) -> int:
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
      "logits_fn must be a network in evaluation mode, that is, change nothing of its own when "
      "called: call `model.eval()` first, or `nnx.view(model, deterministic=True, "
      f"use_running_average=True)`; got {type(error).__name__}"
    ) from error
  shape = getattr(logits, "shape", None)
  if shape is None or len(shape) != 2 or shape[0] != batch:
    raise ValueError(
      f"logits_fn must map images {(batch, *x.shape[1:])} to logits ({batch}, classes), got "
      f"{shape if shape is not None else type(logits).__name__}"
    )
  if shape[1] < minimum:
    raise ValueError(f"logits_fn must give at least {minimum} classes, got {shape[1]}")
  if not jnp.issubdtype(logits.dtype, jnp.floating):
    raise TypeError(f"logits_fn must give floating-point logits, got {logits.dtype}")
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


def _as_numbers(value: Any) -> np.ndarray:
  numbers = np.asarray(value)
  # Text that reads as a number, and True and False, would be converted.
  if numbers.dtype.kind in "bUSc" or (not numbers.size and isinstance(value, (list, tuple))):
    raise TypeError
  return numbers.astype(np.float64)


def _check_numbers(name: str, value: Any, holds: Any, allowed: str) -> None:
  if not is_concrete(value):
    return
  try:
    numbers = _as_numbers(value)
  except (TypeError, ValueError, OverflowError):
    raise TypeError(f"{name} must be a number {allowed}, got {shown(value)}") from None
  wrong = ~(np.isfinite(numbers) & holds(numbers))
  if wrong.any():
    given = value if numbers.ndim == 0 else numbers[wrong].flat[0]
    raise ValueError(f"{name} must be {allowed}, got {given}")
