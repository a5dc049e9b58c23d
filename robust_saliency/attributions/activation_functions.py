"""A network's activation functions, found by what they are: ReLUs, capped ReLUs and others."""

import collections
import dataclasses
import math
from collections.abc import Iterator, Sequence

import jax.numpy as jnp
import numpy as np

from robust_saliency.attributions.elementwise import (
  SHAPES,
  Elementwise,
  elementwise_functions,
  is_elementwise,
  joined,
)
from robust_saliency.attributions.traced_program import (
  Operation,
  Program,
  constants_and_state,
  has_own_derivative,
)

# What mixes pixels by weights: what comes before the first is preprocessing.
_WEIGHTS = ("dot_general", "conv_general_dilated", "ragged_dot", "ragged_dot_general")
# Loops and branches, inside which operations can be replaced.
OPENED = ("scan", "cond")
# Where functions are looked at: from -10,000 to 10,000.
_POSITIVE = np.logspace(-4, 4, 33)
_POINTS = np.concatenate([-_POSITIVE[::-1], [0.0], _POSITIVE])
# Compiled functions of up to this many operations give their name to what is inside them.
_SMALL = 12
_UNTELLING = ("add", "mul", "sub", "div", "neg", "gt", "ge", "lt", "le", "convert_element_type")
_KNOWN = {
  "gelu": lambda z: z * (1 + np.vectorize(math.erf)(z / math.sqrt(2))) / 2,
  "gelu (by tanh)": lambda z: z * (1 + np.tanh((z + 0.044715 * z**3) * math.sqrt(2 / math.pi))) / 2,
  "sigmoid": lambda z: (1 + np.tanh(z / 2)) / 2,
}
# What changes no number here but does in a network, or stops its derivative: part of no ReLU.
_NEUTRAL = ("convert_element_type", "reduce_precision", "stop_gradient", "copy")
# Between a variance and its root.
_ON_THE_WAY = (*SHAPES, "convert_element_type", "copy", "add", "sub", "mul", "neg")


@dataclasses.dataclass(frozen=True, eq=False)
class Activation:
  """An activation function of a program.

  Attributes:
    function: from the value it is applied to, to what it gives.
    cap: c where it is max(0, min(z, c)), infinity where it is max(0, z), None for all others.
    name: what to call it in a message.
  """

  function: Elementwise
  cap: float | None
  name: str

  def is_rectifier(self) -> bool:
    """Whether it grows like z and levels out below 0, as ReLU, GELU and SiLU do."""
    if self.cap is not None or self.function.function is None:
      return self.cap is not None
    below, above = self.function.function(np.array([-100.0, 100.0]))
    return bool(50 <= above <= 200 and abs(below) <= 50)


@dataclasses.dataclass(frozen=True, eq=False)
class Activations:
  """What `find_activations` found in one program; `bodies` has that of each loop and branch.

  Attributes:
    here: the activation functions, in the order in which they are computed.
    bodies: operation -> what was found in each of its programs.
    dependent, weighted: the numbers of values that depend on the images, and by way of weights.
  """

  here: tuple[Activation, ...]
  bodies: "dict[Operation, tuple[Activations, ...]]"
  dependent: frozenset[int]
  weighted: frozenset[int]

  def everywhere(self) -> "Iterator[Activation]":
    """All activation functions, also those inside loops and branches."""
    yield from self.here
    for inside in self.bodies.values():
      for found in inside:
        yield from found.everywhere()

  def has_relu(self) -> bool:
    """Whether any is a ReLU, capped or not."""
    return any(activation.cap is not None for activation in self.everywhere())


def find_activations(program: Program) -> Activations:
  """The activation functions of a program, however they are written.

  An elementwise function of one array is looked at on numbers: it is a ReLU if it gives max(z, 0).
  None is what works on pixels before the first weights (a clamp of the images), nor a max(z, 0)
  that is only divided by or put under a root (the variance of a normalisation).
  """
  everything = frozenset(program.inputs)
  return _find(program, everything, everything if not _has_weights(program) else frozenset())


def _find(program: Program, dependent: frozenset[int], weighted: frozenset[int]) -> Activations:
  depends, weighs = set(dependent), set(weighted)
  bodies = {}
  for operation in program.operations:
    flags = [(n in depends, n in weighs) for n in operation.inputs]
    if not any(depending for depending, _ in flags):
      continue
    outputs = [(True, operation.name in _WEIGHTS or any(w for _, w in flags))] * len(
      operation.outputs
    )
    if operation.bodies and not is_elementwise(operation):
      bodies[operation], outputs = _inside(operation, flags)
    for number, (depending, by_weights) in zip(operation.outputs, outputs, strict=True):
      depends.update([number] if depending else [])
      weighs.update([number] if by_weights else [])
  readers = program.readers()
  sizes = collections.Counter(
    number for operation in program.operations for number, _ in operation.groups
  )
  here = [
    activation
    for chain in elementwise_functions(program, depends)
    for activation in _activations(chain, program, sizes)
    if activation.function.output in weighs
    and not (activation.cap and _only_divides(activation.function.output, readers, program))
  ]
  order = {o: i for i, operation in enumerate(program.operations) for o in operation.outputs}
  here.sort(key=lambda activation: order[activation.function.output])
  return Activations(tuple(here), bodies, frozenset(depends), frozenset(weighs))


def _inside(
  operation: Operation, flags: Sequence[tuple[bool, bool]]
) -> tuple[tuple[Activations, ...], list[tuple[bool, bool]]]:
  """What is inside an operation, and whether its outputs depend on the images, and by weights."""
  if operation.name == "scan":
    [body] = operation.bodies
    first, carried = constants_and_state(operation)
    while True:
      found = _find_flagged(body, flags)
      outputs = [(n in found.dependent, n in found.weighted) for n in body.outputs]
      state = [
        (a or c, b or d)
        for (a, b), (c, d) in zip(flags[first : first + carried], outputs[:carried], strict=True)
      ]
      following = [*flags[:first], *state, *flags[first + carried :]]
      if following == list(flags):
        return (found,), outputs
      flags = following
  if operation.name == "cond":
    branches = tuple(_find_flagged(body, flags[1:]) for body in operation.bodies)
    by_index = flags[0]
    outputs = [
      (
        by_index[0] or any(body.outputs[i] in f.dependent for body, f in pairs),
        by_index[1] or any(body.outputs[i] in f.weighted for body, f in pairs),
      )
      for pairs in [list(zip(operation.bodies, branches, strict=True))]
      for i in range(len(operation.outputs))
    ]
    return branches, outputs
  weighs = any(w for _, w in flags) or any(map(_has_weights, operation.bodies))
  anything = tuple(
    _find(body, frozenset(body.inputs), frozenset(body.inputs) if weighs else frozenset())
    for body in operation.bodies
  )
  return anything, [(True, weighs)] * len(operation.outputs)


def _find_flagged(body: Program, flags: Sequence[tuple[bool, bool]]) -> Activations:
  pairs = list(zip(body.inputs, flags, strict=True))
  return _find(
    body,
    frozenset(number for number, (depending, _) in pairs if depending),
    frozenset(number for number, (_, by_weights) in pairs if by_weights),
  )


def _has_weights(program: Program) -> bool:
  return any(
    operation.name in _WEIGHTS or any(map(_has_weights, operation.bodies))
    for operation in program.operations
  )


def _activations(
  chain: Sequence[Elementwise], program: Program, sizes: dict[int, int]
) -> Iterator[Activation]:
  """The activation functions in a chain of elementwise ones: the longest ReLUs, then the rest."""
  start, shifted = 0, False
  others: list[Elementwise] = []

  def gathered() -> Iterator[Activation]:
    if others:
      whole = joined(others)
      others.clear()
      yield Activation(whole, None, _name(whole, sizes))

  while start < len(chain):
    for stop in range(len(chain), start, -1):
      if _is_neutral(chain[start]) or _is_neutral(chain[stop - 1]):
        continue
      whole = joined(chain[start:stop])
      cap = None if whole.is_arithmetic() else _cap(whole)
      # A clamp of z + 3 is a gate (the hard sigmoid), no activation that is 0 at 0.
      if cap is not None and (math.isinf(cap) or not shifted):
        yield from gathered()
        yield Activation(whole, cap, "relu" if math.isinf(cap) else f"relu{cap:g}")
        start, shifted = stop, False
        break
    else:
      link = chain[start]
      start += 1
      if not jnp.issubdtype(program.types[link.output].dtype, jnp.inexact):
        yield from gathered()
      elif _is_affine(link):
        shifted = shifted or (link.function is not None and float(link.function(0.0)) != 0)
        yield from gathered()
      else:
        others.append(link)
  yield from gathered()


def _is_neutral(function: Elementwise) -> bool:
  return all(operation.name in _NEUTRAL for operation in function.operations)


def _name(function: Elementwise, sizes: dict[int, int]) -> str:
  """What it is known as, or the compiled function of a few operations around it, or all of them.

  A lambda and what `jax.numpy` compiles for itself (`_where`) have no name.
  """
  if function.function is not None:
    values = np.asarray(function.function(_POINTS), np.float64)
    for name, known in _KNOWN.items():
      if np.allclose(values, known(_POINTS), rtol=1e-5, atol=1e-5):
        return name
    below = _POINTS < 0
    slopes = values[below] / _POINTS[below]
    if np.allclose(values[~below], _POINTS[~below]) and np.allclose(slopes, slopes[0]):
      return "leaky_relu"
  first, *others = (dict(operation.groups) for operation in function.operations)
  around = [
    name
    for number, name in first.items()
    if name.isidentifier() and name[0] != "_" and sizes[number] <= _SMALL
    if all(number in groups for groups in others)
  ]
  if around:
    return around[-1]
  names = list(dict.fromkeys(_names(function.operations)))
  return " and ".join([name for name in names if name not in _UNTELLING] or names)


def _names(operations: Sequence[Operation]) -> Iterator[str]:
  for operation in operations:
    if has_own_derivative(operation):
      yield from _names(operation.bodies[0].operations)
    else:
      yield operation.name


def _cap(function: Elementwise) -> float | None:
  """The c where the function is max(0, min(z, c)), infinity where it is max(0, z), else None."""
  if function.function is None:
    return None
  values = np.asarray(function.function(_POINTS), np.float64)
  if np.allclose(values, np.maximum(_POINTS, 0), rtol=1e-6, atol=1e-12):
    return math.inf
  cap = float(values[-1])
  capped = 0 < cap < _POINTS[-2]
  if capped and np.allclose(values, np.clip(_POINTS, 0, cap), rtol=1e-6, atol=1e-12):
    return cap
  return None


def _is_affine(function: Elementwise) -> bool:
  if function.is_arithmetic() and len(function.operations) == 1:
    [operation] = function.operations
    if operation.name in ("add", "add_any", "sub", "neg", "mul", "convert_element_type", "copy"):
      return True
    if operation.name == "div":
      return operation.inputs[0] == function.source
  if function.operations[0].name == "select_n" and len(function.operations) == 1:
    # Chosen by a mask that does not depend on the images.
    return function.operations[0].inputs[0] != function.source
  if function.function is None:
    return False
  values = np.asarray(function.function(_POINTS), np.float64)
  at_0, at_1 = np.asarray(function.function([0.0, 1.0]), np.float64)
  if not np.isfinite([at_0, at_1]).all():
    return False
  line = at_0 + (at_1 - at_0) * _POINTS
  return bool(np.allclose(values, line, rtol=1e-6, atol=1e-9 * abs(at_1 - at_0)))


def _only_divides(
  number: int, readers: dict[int, list[Operation | None]], program: Program
) -> bool:
  """Whether a value ends in denominators and under roots alone."""

  def ends_there(operation: Operation | None) -> bool:
    if operation is None:
      return False
    if operation.name in ("sqrt", "rsqrt"):
      return True
    if operation.name == "pow":
      exponent = program.constants.get(operation.inputs[1])
      return exponent is not None and np.ndim(exponent) == 0 and float(exponent) % 1 != 0
    if operation.name == "integer_pow":
      return operation.equation.params["y"] < 0
    if operation.name == "div":
      if operation.inputs[0] != number:
        return True
    elif operation.name not in _ON_THE_WAY:
      return False
    return all(_only_divides(output, readers, program) for output in operation.outputs)

  return all(map(ends_there, readers[number]))
