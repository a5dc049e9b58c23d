"""How an operation shares out the change of its outputs between two images over its inputs.

Each rule is complete: what it gives to the inputs, times their changes, sums to the output's
change. What has none keeps the mean of its derivatives at the two images.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.elementwise import SHAPES
from robust_saliency.attributions.traced_program import Operation, has_own_derivative

# (now, before, g) -> what is passed on to the inputs now.
_Backward = Callable[[Sequence[Any], Sequence[Any], Array], Sequence[Any]]

# Of which each output is one of the inputs: the largest, or the smallest.
_LARGEST = ("max", "reduce_max", "reduce_window_max", "cummax", "first_max_pool")
_SMALLEST = ("min", "reduce_min", "cummin")
# Linear in all their inputs.
_PLACES = ("concatenate", "copy", "copy_p", "pad", "real", "imag", "rev", "slice", "split")
_SUMS = ("add", "add_any", "cumsum", "neg", "psum", "reduce_sum", "reduce_window_sum", "sub")
_DEVICES = ("all_gather", "all_to_all", "optimization_barrier", "ppermute", "sharding_constraint")
_LINEAR = (*SHAPES, *_PLACES, *_SUMS, *_DEVICES, "convert_element_type", "reduce_precision")
# Linear in each of two inputs.
_BILINEAR = ("mul", "dot_general", "conv_general_dilated")


def is_linear(name: str, changing: Sequence[bool]) -> bool:
  """Whether an operation is linear in those of its inputs that depend on the image.

  >>> is_linear("mul", [True, False]), is_linear("mul", [True, True])
  (True, False)
  """
  if name in _BILINEAR:
    return sum(changing) == 1
  if name in ("div", "gather", "dynamic_slice"):
    return not any(changing[1:])
  if name == "dynamic_update_slice":
    return not any(changing[2:])
  if name in ("scatter", "scatter-add", "scatter_add"):
    return not changing[1]
  if name == "select_n":
    return not changing[0]
  return name in _LINEAR


def is_linear_operation(operation: Operation, changing: Sequence[bool]) -> bool:
  """As `is_linear`, also of a function with a derivative of its own, by what is inside it."""
  if not has_own_derivative(operation):
    return is_linear(operation.name, changing)
  [body] = operation.bodies
  changes = dict(zip(body.inputs, changing, strict=True))
  for inner in body.operations:
    reads = [changes.get(number, False) for number in inner.inputs]
    if any(reads) and not is_linear_operation(inner, reads):
      return False
    changes.update(dict.fromkeys(inner.outputs, any(reads)))
  return True


class Pair(NamedTuple):
  """A value at the image, and what it is at the baseline."""

  now: Any
  before: Any


def as_pair(value: Any) -> Pair:
  """A value that does not depend on the image is the same at both."""
  return value if isinstance(value, Pair) else Pair(value, value)


def rescaled(function: Callable[..., Array], pair: Pair, *others: Any) -> Pair:
  """An elementwise function: the slope from one image to the other takes its derivative's place."""

  def backward(now: Sequence[Any], before: Sequence[Any], g: Array) -> Sequence[Any]:
    (z, *others), z_before = now, before[0]
    change = z - z_before
    # Below rounding a slope is noise, and the derivative between the two is as good.
    still = jnp.abs(change) <= 8 * jnp.finfo(z.dtype).eps * jnp.maximum(abs(z), abs(z_before))
    growth = function(z, *others) - function(z_before, *others)
    _, own = jax.vjp(lambda z: function(z, *others), (z + z_before) / 2)
    return [jnp.where(still, own(g)[0], g * growth / jnp.where(still, 1, change))]

  return _with_backward(function, [pair, *others], backward)


def largest(function: Callable[..., Array], inputs: Sequence[Any], smallest: bool) -> Pair:
  """A maximum: its growth belongs to what is largest now, its fall to what was largest before."""

  def backward(now: Sequence[Any], before: Sequence[Any], g: Array) -> Sequence[Any]:
    value, own = jax.vjp(function, *now)
    value_before, own_before = jax.vjp(function, *before)
    growth, fall = jnp.maximum(value - value_before, 0), jnp.minimum(value - value_before, 0)
    if smallest:
      growth, fall = fall, growth
    shares = zip(now, before, own(g * growth), own_before(g * fall), own(g), strict=True)
    return [
      jnp.where(z == z_before, kept, (a + b) / jnp.where(z == z_before, 1, z - z_before))
      for z, z_before, a, b, kept in shares
    ]

  return _with_backward(function, inputs, backward)


def between(function: Callable[..., Array], inputs: Sequence[Any]) -> Pair:
  """The mean of the derivatives at the two images, complete for products of two values."""

  def backward(now: Sequence[Any], before: Sequence[Any], g: Array) -> Sequence[Any]:
    ends = (jax.vjp(function, *values)[1](g) for values in (now, before))
    return [
      (a + b) / 2 if jnp.issubdtype(jnp.result_type(z), jnp.inexact) else None
      for z, a, b in zip(now, *ends, strict=True)
    ]

  return _with_backward(function, inputs, backward)


def quotient(numerator: Any, denominator: Pair) -> Pair:
  """A product with the rescaled reciprocal."""
  return between(jnp.multiply, [numerator, rescaled(jnp.reciprocal, denominator)])


def shared_out(name: str, function: Callable[..., Any], inputs: Sequence[Any]) -> Any | None:
  """An operation of one output by the rule that its primitive's name has; None where it has none.

  Args:
    name: of the primitive.
    function: what it computes.
    inputs: its inputs, `Pair`s where they depend on the image.
  """
  if name == "div" and isinstance(inputs[1], Pair):
    return quotient(*inputs)
  if name in (*_LARGEST, *_SMALLEST):
    return largest(function, inputs, name in _SMALLEST)
  if name in _BILINEAR:
    return between(function, inputs)
  return None


def _with_backward(function: Callable[..., Array], inputs: Sequence[Any], rule: _Backward) -> Pair:
  pairs = [as_pair(value) for value in inputs]
  now, before = [pair.now for pair in pairs], [pair.before for pair in pairs]

  @jax.custom_vjp
  def ruled(now: Sequence[Any], before: Sequence[Any]) -> Array:
    return function(*now)

  def backward(kept: tuple[Sequence[Any], Sequence[Any]], g: Array) -> tuple[Any, None]:
    passed_on = list(rule(*kept, g))
    return [*passed_on, *[None] * (len(now) - len(passed_on))], None

  ruled.defvjp(lambda now, before: (function(*now), (now, before)), backward)
  return Pair(ruled(now, before), function(*before))
