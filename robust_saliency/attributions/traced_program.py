"""A logits function as the program that JAX traces, run with some of its operations replaced.

Libraries that own their layers swap them to change a backward pass; here any logits function will
do: its program (a "jaxpr") is laid out as one list of operations, and what is looked for in it (a
ReLU, a max pooling) is replaced.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jax import Array
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from robust_saliency.core import LogitsFn

# What only groups operations, and is opened.
_GROUPS = ("jit", "pjit", "closed_call", "core_call", "remat2", "checkpoint")
_OWN_DERIVATIVES = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")
# Compiled functions that stay one operation: our networks' max pooling.
_KEPT_WHOLE = ("first_max_pool",)


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
  """One operation of a program.

  Attributes:
    name: of its primitive ("max", "dot_general"), or of the compiled function that it is.
    equation: of the traced program.
    inputs, outputs: numbers of values.
    groups: (number, name) of the compiled functions around it, the outermost first.
    bodies: the programs inside it: of a loop, of branches, of a function with its own derivative.
  """

  name: str
  equation: Any
  inputs: tuple[int, ...]
  outputs: tuple[int, ...]
  groups: tuple[tuple[int, str], ...]
  bodies: "tuple[Program, ...]"

  def apply(self, inputs: Sequence[Any]) -> list[Any]:
    """Its outputs, as it is."""
    primitive = self.equation.primitive
    bound = primitive.get_bind_params(self.equation.params)
    # Older releases of jax give the functions among the parameters apart from the others.
    functions, parameters = bound if isinstance(bound, tuple) else ((), bound)
    result = primitive.bind(*functions, *inputs, **parameters)
    return list(result) if primitive.multiple_results else [result]


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
  """Operations in their order, without those whose results nobody uses.

  Attributes:
    operations: each reads values that came before it.
    inputs, outputs: numbers of values.
    constants: number of a value -> what it is, for all that is known before the program runs.
    types: number of a value -> its shape and dtype.
  """

  operations: tuple[Operation, ...]
  inputs: tuple[int, ...]
  outputs: tuple[int, ...]
  constants: dict[int, Any]
  types: dict[int, Any]

  def readers(self) -> dict[int, list[Operation | None]]:
    """Number of a value -> the operations that read it, and None where it is an output."""
    readers: dict[int, list[Operation | None]] = {number: [] for number in self.types}
    for operation in self.operations:
      for number in operation.inputs:
        readers[number].append(operation)
    for number in self.outputs:
      readers[number].append(None)
    return readers


# (operation, what gives the value of a number) -> the operation's outputs, or None where it stays
# what it is.
Replacement = Callable[[Operation, Callable[[int], Any]], Sequence[Any] | None]


def trace(logits_fn: LogitsFn, x: Array) -> Program:
  """The program of `logits_fn(x)`.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C]; only their shape and dtype count.

  Returns:
    Compiled functions are opened, loops, branches and functions with a derivative of their own are
    one operation each.
  """
  return _lay_out(jax.make_jaxpr(logits_fn)(x), itertools.count())


def run(program: Program, arguments: Sequence[Any], replace: Replacement) -> list[Any]:
  """The program's outputs, with some of its operations replaced.

  Args:
    program: of `trace`.
    arguments: the values of its inputs.
    replace: is asked about every operation of the program itself; `run_bodies` runs what is inside
      a loop or a branch.
  """
  values = {**program.constants, **dict(zip(program.inputs, arguments, strict=True))}
  for operation in program.operations:
    outputs = replace(operation, values.__getitem__)
    if outputs is None:
      outputs = operation.apply([values[number] for number in operation.inputs])
    values.update(zip(operation.outputs, outputs, strict=True))
  return [values[number] for number in program.outputs]


def run_bodies(
  operation: Operation,
  inputs: Sequence[Any],
  replace: Replacement,
  lift: Callable[[Any], Any] = lambda value: value,
) -> list[Any]:
  """A `scan` or `cond` with operations inside it replaced.

  Args:
    operation: one of these.
    inputs: the values of its inputs.
    replace: as in `run`.
    lift: makes one kind of tree of values of two kinds, since a loop keeps the kind of its state.
  """
  parameters = operation.equation.params
  if operation.name == "cond":
    index, *rest = inputs
    branches = [
      lambda *arguments, body=body: [lift(out) for out in run(body, arguments, replace)]
      for body in operation.bodies
    ]
    return list(jax.lax.switch(index, branches, *map(lift, rest)))
  constants, carried = constants_and_state(operation)
  fixed, state, sequences = (
    [lift(value) for value in part]
    for part in (
      inputs[:constants],
      inputs[constants : constants + carried],
      inputs[constants + carried :],
    )
  )

  def step(state: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
    results = run(operation.bodies[0], [*fixed, *state, *slices], replace)
    lifted = [lift(result) for result in results]
    return lifted[:carried], lifted[carried:]

  options = {name: parameters[name] for name in ("length", "reverse", "unroll")}
  state, results = jax.lax.scan(step, state, sequences, **options)
  return [*state, *results]


def constants_and_state(operation: Operation) -> tuple[int, int]:
  """How many of a `scan`'s inputs are the same in every step, and how many are its state."""
  parameters = operation.equation.params
  if "num_consts" in parameters:
    return parameters["num_consts"], parameters["num_carry"]
  # Since jax 0.12 the inputs are described as a tree of three parts, whose leaves are None.
  constants, state, _ = parameters["ft_in"].unpack()
  return len(constants.vals), len(state.vals)


def has_own_derivative(operation: Operation) -> bool:
  """Whether it is a function whose derivative its author has written."""
  return operation.name in _OWN_DERIVATIVES


def _lay_out(closed: ClosedJaxpr, numbers: Iterator[int]) -> Program:
  constants: dict[int, Any] = {}
  types: dict[int, Any] = {}
  operations: list[Operation] = []

  def new(aval: Any) -> int:
    number = next(numbers)
    types[number] = aval
    return number

  def known(value: Any, aval: Any) -> int:
    number = new(aval)
    constants[number] = value
    return number

  def add(
    program: Jaxpr, values: Sequence[Any], arguments: Sequence[int], groups: tuple
  ) -> list[int]:
    names = dict(zip(program.invars, arguments, strict=True))
    for variable, value in zip(program.constvars, values, strict=True):
      names[variable] = known(value, variable.aval)

    def read(atom: Any) -> int:
      return known(atom.val, atom.aval) if isinstance(atom, Literal) else names[atom]

    for equation in program.eqns:
      name, label = equation.primitive.name, str(equation.params.get("name", ""))
      inputs = tuple(read(atom) for atom in equation.invars)
      bodies = list(_programs_inside(equation))
      if name in _GROUPS and label not in _KEPT_WHOLE:
        [inside] = bodies
        group = (*groups, (next(numbers), label))
        outputs = add(inside.jaxpr, inside.consts, inputs, group)
      else:
        outputs = [new(variable.aval) for variable in equation.outvars]
        name = label if label in _KEPT_WHOLE else name
        laid_out = tuple(_lay_out(body, numbers) for body in bodies)
        operations.append(Operation(name, equation, inputs, tuple(outputs), groups, laid_out))
      names.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in program.outvars]

  inputs = tuple(new(variable.aval) for variable in closed.jaxpr.invars)
  outputs = tuple(add(closed.jaxpr, closed.consts, inputs, ()))
  used, alive = set(outputs), []
  for operation in reversed(operations):
    if operation.equation.effects or used.intersection(operation.outputs):
      used.update(operation.inputs)
      alive.append(operation)
  return Program(tuple(reversed(alive)), inputs, outputs, constants, types)


def _programs_inside(equation: Any) -> Iterator[ClosedJaxpr]:
  for parameter in equation.params.values():
    for program in parameter if isinstance(parameter, (tuple, list)) else [parameter]:
      # Later releases of jax have one class for both.
      if isinstance(program, ClosedJaxpr):
        yield program
      elif isinstance(program, Jaxpr):
        yield ClosedJaxpr(program, ())
