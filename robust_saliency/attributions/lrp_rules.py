"""What layer-wise relevance propagation has a rule for."""

import jax.numpy as jnp

from robust_saliency.attributions.activation_functions import OPENED, Activation, Activations
from robust_saliency.attributions.rescale_rules import is_linear_operation
from robust_saliency.attributions.traced_program import Operation, Program

# Relevance goes to the largest, as the gradient does.
_POOLS = ("reduce_max", "reduce_window_max", "first_max_pool")


def has_rule(activation: Activation) -> bool:
  """Whether relevance can be shared out by f(z) / z: where f is known, and 0 at 0."""
  function = activation.function.function
  return function is not None and abs(float(function(0.0))) < 1e-6


def check_rules(program: Program, found: Activations) -> None:
  """Refuses a program with an operation that has no rule.

  Args:
    program: of `traced_program.trace`.
    found: its activation functions.

  Raises:
    ValueError: with the names of all of them.
  """
  names = list(dict.fromkeys(_without_rule(program, found)))
  if names:
    raise ValueError(
      f"logits_fn has operations for which lrp has no rule: {', '.join(names)}; it has rules for "
      "linear layers, max pooling and activations that are 0 at 0"
    )


def _without_rule(program: Program, found: Activations) -> list[str]:
  names: list[str] = []
  covered: dict[Operation, Activation] = {
    operation: one for one in found.here for operation in one.function.operations
  }
  for operation in program.operations:
    changing = [number in found.dependent for number in operation.inputs]
    types = [program.types[number].dtype for number in operation.outputs]
    if not any(number in found.weighted for number in operation.inputs):
      continue
    if operation in covered:
      names += [] if has_rule(covered[operation]) else [covered[operation].name]
    elif operation.name in OPENED and operation in found.bodies:
      for body, inside in zip(operation.bodies, found.bodies[operation], strict=True):
        names += _without_rule(body, inside)
    elif not (
      operation.name in _POOLS
      or is_linear_operation(operation, changing)
      or not any(jnp.issubdtype(dtype, jnp.inexact) for dtype in types)
    ):
      several = sum(changing) > 1
      names.append(f"{operation.name} of several layers" if several else operation.name)
  return names
