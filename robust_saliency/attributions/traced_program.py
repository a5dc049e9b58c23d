"""A logits function as the program that JAX traces, run with some of its operations replaced.

Libraries that own their layers swap them to change a backward pass; here any logits function will
do: its program (a "jaxpr") is run operation by operation, and what is looked for in it (a ReLU, a
max pooling) is replaced.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from robust_saliency.core import LogitsFn

# (operation, its inputs) -> its outputs, or None where the operation stays what it is.
Replacement = Callable[[Any, Sequence[Any]], Sequence[Any] | None]

# What only groups operations, and may be replaced by them.
_GROUPS = ("jit", "pjit", "closed_call", "core_call", "remat2", "checkpoint")


def run_replaced(logits_fn: LogitsFn, x: Array, replace: Replacement) -> Array:
  """`logits_fn(x)` with some of its operations replaced.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    replace: is asked about every operation, also inside `jax.jit` and `jax.checkpoint`.

  Returns:
    Logits [B, K].

  Raises:
    ValueError: where a ReLU stands inside a loop, a branch or a function with a derivative of its
      own, where none can be replaced.
  """
  program = jax.make_jaxpr(logits_fn)(x)
  (logits,) = _evaluate(program.jaxpr, program.consts, [x], replace)
  return logits


def check_has_relu(logits_fn: LogitsFn, x: Array) -> None:
  """Refuses a function without a ReLU.

  Raises:
    ValueError: in a sentence.
  """
  if not _contains_relu(jax.make_jaxpr(logits_fn)(x).jaxpr):
    raise ValueError("logits_fn must have ReLUs (jax.nn.relu), since their gradient is replaced")


def relu_operand(operation: Any) -> int | None:
  """Which input is the z of max(z, 0) or of `jax.nn.relu`; None for other operations."""
  if operation.primitive.name == "max":
    zeros = [_is_zero(atom) for atom in operation.invars]
    return 1 - zeros.index(True) if any(zeros) else None
  if operation.primitive.name == "custom_jvp_call":
    # `jax.nn.relu` has a derivative of its own at 0; inside it is nothing but max(z, 0).
    [program] = _programs_inside(operation)
    while len(program.eqns) == 1:
      [inner] = program.eqns
      if inner.primitive.name == "max":
        return 0 if relu_operand(inner) is not None else None
      if (group := _group(inner)) is None:
        return None
      program = group.jaxpr
  return None


def apply(operation: Any, inputs: Sequence[Any]) -> list[Any]:
  """The outputs of an operation of a program, as it is."""
  bound = operation.primitive.get_bind_params(operation.params)
  # Older releases of jax give the functions among the parameters apart from the others.
  functions, parameters = bound if isinstance(bound, tuple) else ((), bound)
  result = operation.primitive.bind(*functions, *inputs, **parameters)
  return list(result) if operation.primitive.multiple_results else [result]


def _evaluate(
  program: Jaxpr, constants: Sequence[Any], arguments: Sequence[Any], replace: Replacement
) -> list[Any]:
  values = dict(zip([*program.constvars, *program.invars], [*constants, *arguments], strict=True))

  def read(atom: Any) -> Any:
    return atom.val if isinstance(atom, Literal) else values[atom]

  for operation in program.eqns:
    inputs = [read(atom) for atom in operation.invars]
    outputs = replace(operation, inputs)
    if outputs is None:
      group = _group(operation)
      if group is not None:
        outputs = _evaluate(group.jaxpr, group.consts, inputs, replace)
      elif (
        any(map(_contains_relu, _programs_inside(operation))) and relu_operand(operation) is None
      ):
        raise ValueError(
          f"logits_fn has a ReLU inside {operation.primitive.name}, where its gradient cannot be "
          "replaced; only jax.jit and jax.checkpoint may stand around it"
        )
      else:
        outputs = apply(operation, inputs)
    values.update(zip(operation.outvars, outputs, strict=True))
  return [read(atom) for atom in program.outvars]


def _is_zero(atom: Any) -> bool:
  return (
    isinstance(atom, Literal)
    and jnp.issubdtype(jnp.result_type(atom.val), jnp.floating)
    and np.ndim(atom.val) == 0
    and float(atom.val) == 0
  )


def _group(operation: Any) -> ClosedJaxpr | None:
  if operation.primitive.name not in _GROUPS:
    return None
  inside = operation.params.get("jaxpr", operation.params.get("call_jaxpr"))
  # Later releases of jax have one class for both.
  return inside if isinstance(inside, ClosedJaxpr) else ClosedJaxpr(inside, ())


def _contains_relu(program: Jaxpr) -> bool:
  return any(
    relu_operand(operation) is not None or any(map(_contains_relu, _programs_inside(operation)))
    for operation in program.eqns
  )


def _programs_inside(operation: Any) -> Iterator[Jaxpr]:
  for parameter in operation.params.values():
    for program in parameter if isinstance(parameter, (tuple, list)) else [parameter]:
      if isinstance(program, ClosedJaxpr):
        yield program.jaxpr
      elif isinstance(program, Jaxpr):
        yield program
