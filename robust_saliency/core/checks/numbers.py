"""Numbers: how large, how many, and known when."""

from typing import Any

import jax
import numpy as np

from robust_saliency.core.checks.words import shown

# JAX's default integers end here.
LARGEST_COUNT = 2**31 - 1


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


def below_one(**arguments: Any) -> None:
  """Raises unless each value is one number in [0, 1), as the weight of a moving average is.

  >>> below_one(momentum=1.0)
  Traceback (most recent call last):
  ValueError: momentum must be < 1, got 1.0
  """
  scalar(**arguments)
  fraction(**arguments)
  for name, value in arguments.items():
    if is_concrete(value) and value == 1:
      raise ValueError(f"{name} must be < 1, got {value}")


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


def scalar(**arguments: Any) -> None:
  """Raises for arrays of several numbers, which would silently broadcast over the pixels.

  >>> scalar(epsilon=np.array([0.1, 0.2]))
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

  >>> per_channel(3, epsilon=np.array([0.1, 0.2]))
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


def as_numbers(value: Any) -> np.ndarray:
  """The value as float64; raises what NumPy raises for what is no number, text and bools too."""
  numbers = np.asarray(value)
  # Text that reads as a number, and True and False, would be converted.
  if numbers.dtype.kind in "bUSc" or (not numbers.size and isinstance(value, (list, tuple))):
    raise TypeError
  return numbers.astype(np.float64)


def _check_numbers(name: str, value: Any, holds: Any, allowed: str) -> None:
  if not is_concrete(value):
    return
  try:
    numbers = as_numbers(value)
  except (TypeError, ValueError, OverflowError):
    raise TypeError(f"{name} must be a number {allowed}, got {shown(value)}") from None
  wrong = ~(np.isfinite(numbers) & holds(numbers))
  if wrong.any():
    given = value if numbers.ndim == 0 else numbers[wrong].flat[0]
    raise ValueError(f"{name} must be {allowed}, got {given}")
