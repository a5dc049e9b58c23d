"""Which elementwise functions of one array a traced program has, however they are written.

`jnp.where(z > 0, z, 0)` is four operations and one function of z. Operation by operation, each
value gets the last value that all its ways back meet in; what lies between the two is a function
of that one value, and where its constants are known it can be called on numbers and looked at.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from robust_saliency.attributions.traced_program import Operation, Program, has_own_derivative
from robust_saliency.core import checks


def _converted(parameters: dict[str, Any], a: np.ndarray) -> np.ndarray:
  dtype = parameters["new_dtype"]
  if dtype == np.bool_:
    return a != 0
  return np.trunc(a) if jnp.issubdtype(dtype, jnp.integer) else np.asarray(a, np.float64)


# Primitive -> (its parameters, its inputs) -> its output.
_FUNCTIONS: dict[str, Callable[..., Any]] = {
  "abs": lambda p, a: np.abs(a),
  "add": lambda p, a, b: a + b,
  "add_any": lambda p, a, b: a + b,
  "and": lambda p, a, b: np.logical_and(a, b),
  "cbrt": lambda p, a: np.cbrt(a),
  "ceil": lambda p, a: np.ceil(a),
  "clamp": lambda p, low, a, high: np.clip(a, low, high),
  "convert_element_type": _converted,
  "copy": lambda p, a: a,
  "copy_p": lambda p, a: a,
  "cos": lambda p, a: np.cos(a),
  "div": lambda p, a, b: np.divide(a, b),
  "eq": lambda p, a, b: a == b,
  "erf": lambda p, a: np.vectorize(math.erf)(a),
  "erfc": lambda p, a: np.vectorize(math.erfc)(a),
  "exp": lambda p, a: np.exp(a),
  "exp2": lambda p, a: np.exp2(a),
  "expm1": lambda p, a: np.expm1(a),
  "floor": lambda p, a: np.floor(a),
  "ge": lambda p, a, b: a >= b,
  "gt": lambda p, a, b: a > b,
  "integer_pow": lambda p, a: np.power(np.asarray(a, np.float64), p["y"]),
  "is_finite": lambda p, a: np.isfinite(a),
  "le": lambda p, a, b: a <= b,
  "log": lambda p, a: np.log(a),
  "log1p": lambda p, a: np.log1p(a),
  "logistic": lambda p, a: 1 / (1 + np.exp(-a)),
  "lt": lambda p, a, b: a < b,
  "max": lambda p, a, b: np.maximum(a, b),
  "min": lambda p, a, b: np.minimum(a, b),
  "mul": lambda p, a, b: a * b,
  "ne": lambda p, a, b: a != b,
  "neg": lambda p, a: -a,
  "not": lambda p, a: np.logical_not(a),
  "or": lambda p, a, b: np.logical_or(a, b),
  "pow": lambda p, a, b: np.power(np.asarray(a, np.float64), b),
  "reduce_precision": lambda p, a: a,
  "round": lambda p, a: np.round(a),
  "rsqrt": lambda p, a: 1 / np.sqrt(a),
  "select_n": lambda p, which, *cases: np.choose(np.asarray(which, int), cases),
  "sign": lambda p, a: np.sign(a),
  "sin": lambda p, a: np.sin(a),
  "sqrt": lambda p, a: np.sqrt(a),
  "square": lambda p, a: np.square(a),
  "stop_gradient": lambda p, a: a,
  "sub": lambda p, a, b: a - b,
  "tanh": lambda p, a: np.tanh(a),
}
# Elementwise as well; what they give on numbers, nobody asks.
_INVERSE = ("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "erf_inv")
_OTHERS = (*_INVERSE, "cosh", "digamma", "lgamma", "nextafter", "rem", "sinh", "tan", "xor")
SHAPES = ("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose")
# Arithmetic, which makes no activation by itself.
_SUMS = ("add", "add_any", "convert_element_type", "copy", "copy_p", "neg", "stop_gradient", "sub")
_POWERS = ("integer_pow", "pow", "rsqrt", "sqrt", "square")
_ARITHMETIC = frozenset((*_SUMS, *_POWERS, "div", "mul", "reduce_precision"))
# Constants larger than this are not looked at.
_LARGEST_CONSTANT = 10**6


@dataclasses.dataclass(frozen=True, eq=False)
class Elementwise:
  """A value of a program as an elementwise function of another of the same shape.

  Attributes:
    source, output: the numbers of the two values.
    operations: what makes the one of the other, in their order.
    function: the same in NumPy, on numbers; None where a constant is an array or not known.
  """

  source: int
  output: int
  operations: tuple[Operation, ...]
  function: Callable[[Any], np.ndarray] | None

  def inputs(self) -> tuple[int, ...]:
    """The numbers of the source and of all else that the operations read, the source first."""
    made = {number for operation in self.operations for number in operation.outputs}
    read = [number for operation in self.operations for number in operation.inputs]
    return tuple(dict.fromkeys([self.source, *(n for n in read if n not in made)]))

  def apply(self, *values: Any) -> Any:
    """The output, of the values of `inputs`."""
    known = dict(zip(self.inputs(), values, strict=True))
    for operation in self.operations:
      outputs = operation.apply([known[number] for number in operation.inputs])
      known.update(zip(operation.outputs, outputs, strict=True))
    return known[self.output]

  def is_arithmetic(self) -> bool:
    """Whether it is sums, products, quotients and powers alone."""
    return all(operation.name in _ARITHMETIC for operation in self.operations)


def elementwise_functions(program: Program, dependent: set[int]) -> list[list[Elementwise]]:
  """The elementwise functions of one array that a program consists of, as chains.

  Args:
    program: of `trace`.
    dependent: the numbers of the values that depend on its inputs.

  Returns:
    Chains of functions as small as they get, each of the output of the one before, which nothing
    outside the chain reads. `joined` makes one of several neighbours.
  """
  maker = {number: operation for operation in program.operations for number in operation.outputs}
  place = {operation: i for i, operation in enumerate(program.operations)}
  meeting = _meeting_points(program, dependent)
  # What is read by anything but an elementwise function of one array.
  needed = [number for number in program.outputs if number in dependent]
  for operation in program.operations:
    if not any(number in meeting for number in operation.outputs):
      needed += [number for number in operation.inputs if number in dependent]
  outside, functions, waiting = set(needed), {}, list(dict.fromkeys(needed))
  known = _KnownNumbers(program, maker, dependent)
  while waiting:
    output = waiting.pop()
    if output in functions or output not in meeting:
      continue
    source, region, back = meeting[output], set(), [output]
    while back:
      number = back.pop()
      if number != source and maker[number] not in region:
        region.add(maker[number])
        back += [read for read in maker[number].inputs if read in dependent]
    operations = tuple(sorted(region, key=place.__getitem__))
    functions[output] = Elementwise(source, output, operations, None)
    waiting.append(source)
  readers = program.readers()
  chains, started = [], set()
  following: dict[int, list[Elementwise]] = {}
  for function in functions.values():
    following.setdefault(function.source, []).append(function)

  def continues(function: Elementwise) -> Elementwise | None:
    candidates = following.get(function.output, [])
    if len(candidates) != 1 or function.output in outside:
      return None
    return candidates[0] if {*readers[function.output]} <= {*candidates[0].operations} else None

  inner = {after.output for f in functions.values() if (after := continues(f)) is not None}
  for function in sorted(functions.values(), key=lambda f: place[f.operations[-1]]):
    if function.output in inner or function.output in started:
      continue
    chain: list[Elementwise] = []
    link: Elementwise | None = function
    while link is not None:
      started.add(link.output)
      numeric = known.function(link.operations, link.source, link.output)
      chain.append(dataclasses.replace(link, function=numeric))
      link = continues(link)
    chains.append(chain)
  return chains


def joined(functions: Sequence[Elementwise]) -> Elementwise:
  """One function of several that follow each other in a chain."""
  numeric = [part.function for part in functions]

  def function(z: Any) -> Any:
    for part in numeric:
      z = part(z)  # type: ignore[misc]
    return z

  return Elementwise(
    functions[0].source,
    functions[-1].output,
    tuple(operation for part in functions for operation in part.operations),
    None if None in numeric else function,
  )


def is_elementwise(operation: Operation) -> bool:
  """Whether each number of its output depends on the number at the same place of its inputs."""
  if not has_own_derivative(operation):
    return operation.name in _FUNCTIONS or operation.name in _OTHERS
  [body, *more] = operation.bodies
  return (
    not more
    and len(body.outputs) == 1
    and all(
      is_elementwise(inner)
      or (inner.name in SHAPES and body.types[inner.inputs[0]].shape == ())  # of a constant
      for inner in body.operations
    )
  )


def _meeting_points(program: Program, dependent: set[int]) -> dict[int, int]:
  """Value -> the last value that all its ways back meet in, for elementwise operations."""
  meeting: dict[int, int] = {}
  depth: dict[int, int] = {}
  for operation in program.operations:
    reads = list(dict.fromkeys(n for n in operation.inputs if n in dependent))
    if not reads or len(operation.outputs) != 1 or not is_elementwise(operation):
      continue
    [output] = operation.outputs
    if any(program.types[n].shape != program.types[output].shape for n in reads):
      continue
    common: int | None = reads[0]
    for other in reads[1:]:
      one: int | None = other
      while common is not None and one is not None and common != one:
        if depth.get(common, 0) >= depth.get(one, 0):
          common = meeting.get(common)
        else:
          one = meeting.get(one)
      common = common if common == one else None
    # A comparison says too little: what is made of it is a function of what was compared.
    while common in meeting and not jnp.issubdtype(program.types[common].dtype, jnp.inexact):
      common = meeting[common]
    if common is not None:
      meeting[output], depth[output] = common, depth.get(common, 0) + 1
  return meeting


class _KnownNumbers:
  """The constants of a program that are one and the same number everywhere."""

  def __init__(self, program: Program, maker: dict[int, Operation], dependent: set[int]):
    self._program, self._maker, self._dependent = program, maker, dependent
    self._numbers: dict[int, float | None] = {}

  def __getitem__(self, number: int) -> float | None:
    if number not in self._numbers:
      self._numbers[number] = self._find(number)
    return self._numbers[number]

  def function(self, operations: Sequence[Operation], source: int, output: int) -> Any:
    """What `operations` make of numbers at `source`; None where that is not known."""
    made = {source, *(number for operation in operations for number in operation.outputs)}
    constants = {n: self[n] for o in operations for n in o.inputs if n not in made}
    if None in constants.values() or not all(map(_has_function, operations)):
      return None

    def function(z: Any) -> Any:
      z = np.asarray(z, np.float64)
      values: dict[int, Any] = {n: np.full(z.shape, c) for n, c in constants.items()}
      values[source] = z
      with np.errstate(all="ignore"):
        for operation in operations:
          inputs = [values[number] for number in operation.inputs]
          values[operation.outputs[0]] = _call(operation, inputs)
      return values[output]

    return function

  def _find(self, number: int) -> float | None:
    if number in self._program.constants:
      return _single(self._program.constants[number])
    operation = self._maker.get(number)
    if operation is None or number in self._dependent:
      return None
    inputs = [self[read] for read in operation.inputs]
    if None in inputs:
      return None
    if operation.name in SHAPES:
      return inputs[0]
    if len(operation.outputs) != 1 or not _has_function(operation):
      return None
    with np.errstate(all="ignore"):
      return float(_call(operation, [np.asarray(value, np.float64) for value in inputs]))


def _has_function(operation: Operation) -> bool:
  if has_own_derivative(operation):
    return is_elementwise(operation) and all(map(_has_function, operation.bodies[0].operations))
  return operation.name in _FUNCTIONS or operation.name in SHAPES


def _call(operation: Operation, inputs: Sequence[Any]) -> Any:
  if operation.name in SHAPES:
    return inputs[0]
  if not has_own_derivative(operation):
    return _FUNCTIONS[operation.name](operation.equation.params, *inputs)
  [body] = operation.bodies
  values = dict(zip(body.inputs, inputs, strict=True))
  for number, value in body.constants.items():
    single = _single(value)
    values[number] = np.full(np.shape(inputs[0]), np.nan if single is None else single)
  for inner in body.operations:
    values[inner.outputs[0]] = _call(inner, [values[number] for number in inner.inputs])
  return values[body.outputs[0]]


def _single(value: Any) -> float | None:
  """The number that fills an array; None where there is none, or it is not known yet."""
  if not checks.is_concrete(value) or not 0 < np.size(value) <= _LARGEST_CONSTANT:
    return None
  if not (jnp.issubdtype(jnp.result_type(value), jnp.number) or np.asarray(value).dtype == bool):
    return None
  numbers = np.asarray(value).astype(np.float64).ravel()
  return float(numbers[0]) if np.all(numbers == numbers[0]) else None
