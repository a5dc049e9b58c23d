"""Networks whose ReLUs have another backward pass than their derivative, or can be looked into.

Guided backpropagation, deconvolution and LRP are the gradient with such a rule. Each max(z, 0) of
the traced program is replaced; the values stay what they were.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.activation_functions import (
  OPENED,
  Activation,
  Activations,
  find_activations,
)
from robust_saliency.attributions.arguments import with_a_row
from robust_saliency.attributions.traced_program import (
  Operation,
  Program,
  Replacement,
  run,
  run_bodies,
  trace,
)
from robust_saliency.core import LogitsFn, checks

# (z, the gradient of the score with respect to relu(z)) -> what is passed on to z.
ReluRule = Callable[[Array, Array], Array]


def with_relu_rule(logits_fn: LogitsFn, rule: ReluRule) -> LogitsFn:
  """The same function, differentiated with another rule for its ReLUs.

  A ReLU is what gives max(z, 0), however it is written: `jax.nn.relu`, `jnp.where(z > 0, z, 0)`,
  `jnp.clip(z, 0)`, `z * (z > 0)`, also inside `jax.jit`, `jax.checkpoint`, `jax.lax.scan` and
  `jax.lax.cond`. A capped one, min(max(z, 0), 6), is a ReLU and a minimum that keeps its
  derivative. None is a clamp of the images before the first weights (if there are any), nor a
  max(z, 0) that only ends in denominators and under roots (the variance in a normalisation).

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    rule: `(z, g) -> the gradient passed on to z`, all of one shape; g arrives at relu(z).

  Returns:
    A function of images with the same logits. All that is no ReLU keeps its derivative.

  Raises:
    ValueError: when it is called, where there is no ReLU, or one where none can be replaced: in a
      `while` loop, or inside a larger function with a derivative of its own.

  >>> twice = with_relu_rule(lambda x: jax.nn.relu(x), lambda z, g: 2 * g)
  >>> jax.grad(lambda x: twice(x).sum())(jnp.array([-1.0, 1.0])).tolist()
  [2.0, 2.0]
  """
  checks.network(logits_fn)
  checks.function(rule=rule)

  def replaced(x: Array) -> Array:
    program, found = traced_relus(logits_fn, x)
    relus = [activation for activation in found.everywhere() if activation.cap is not None]
    [logits] = run(program, [x], replacing(found, relus, ruled))
    return logits

  def ruled(activation: Activation, *inputs: Any) -> Array:
    cap = math.inf if activation.cap is None else activation.cap

    # All that is traced goes in as an argument: inside a branch nothing else may.
    @jax.custom_vjp
    def relu(*inputs: Any) -> Array:
      return activation.function.apply(*inputs)

    def forward(z: Array, *others: Any) -> tuple[Array, tuple[Any, ...]]:
      return activation.function.apply(z, *others), (z, others)

    def backward(kept: tuple[Array, Any], g: Array) -> tuple[Any, ...]:
      z, others = kept
      passed = jnp.where(z < cap, g.astype(z.dtype), 0)
      return (rule(z, passed), *(None for _ in others))

    relu.defvjp(forward, backward)
    return relu(*inputs)

  return replaced


def traced_relus(logits_fn: LogitsFn, x: Array) -> tuple[Program, Activations]:
  """The program of a function at x, and its activation functions, with ReLUs among them.

  Raises:
    ValueError: where there is no ReLU, or one where none can be replaced, in a sentence that names
      the operation around it.
  """
  program = trace(logits_fn, x)
  found = find_activations(program)
  if not found.has_relu():
    raise ValueError(
      "logits_fn must have ReLUs (jax.nn.relu, or whatever gives max(z, 0)), since their gradient "
      "is replaced"
    )
  for operation, inside in _inner_programs(found):
    if operation.name not in OPENED and any(part.has_relu() for part in inside):
      raise ValueError(
        f"logits_fn has a ReLU inside {operation.name}, where its gradient cannot be replaced; "
        "only jax.jit, jax.checkpoint, jax.lax.scan and jax.lax.cond may stand around it"
      )
  return program, found


def replacing(
  found: Activations, activations: Sequence[Activation], give: Callable[..., Any]
) -> Replacement:
  """A `Replacement` in whose place some activation functions give something else.

  Args:
    found: of `find_activations`, in the same program.
    activations: some of those that were found.
    give: (activation, its z and what else its operations read) -> what it gives.
  """
  by_last = {chosen.function.operations[-1]: chosen for chosen in activations}
  opened = {
    operation
    for operation, inside in _inner_programs(found)
    if any(activation in activations for part in inside for activation in part.everywhere())
  }

  def replace(operation: Operation, read: Callable[[int], Any]) -> Sequence[Any] | None:
    if operation in by_last:
      chosen = by_last[operation]
      return [give(chosen, *(read(number) for number in chosen.function.inputs()))]
    if operation in opened:
      return run_bodies(operation, [read(number) for number in operation.inputs], replace)
    return None

  return replace


def warn_of_other_activations(method: str, logits_fn: LogitsFn, x: Array) -> None:
  """Warns, once, of activation functions that are no ReLUs and so keep their derivative.

  Args:
    method: to which the network is given.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C]; only their shape counts.
  """
  _, found = traced_relus(logits_fn, with_a_row(x))
  others = [
    activation.name
    for activation in found.everywhere()
    if activation.cap is None and not activation.function.is_arithmetic()
  ]
  if others:
    warnings.warn(
      f"{method} has a rule for ReLUs alone: {', '.join(dict.fromkeys(others))} in logits_fn "
      "keep their derivative",
      stacklevel=3,
    )


def with_opened_relu(
  logits_fn: LogitsFn, x: Array
) -> Callable[[Array, Array | float], tuple[Array, Array]]:
  """The same function, open at its last activation that gives maps: to be seen and moved there.

  Activations are ReLUs, capped or not, and what is like them: GELU, SiLU, hard-swish, leaky ReLU.
  Maps of one place only (the gates of squeeze-and-excitation) count where there are no others.

  Args:
    logits_fn: as in `with_relu_rule`.
    x: images [B, H, W, C]; only their shape counts.

  Returns:
    `(images, shift) -> (logits [B, K], features [B, h, w, D])`, or features [B, l, D] of signals
    [B, L, C], where `shift`, which has the features' shape or is a number, has been added to them.
    Its gradient at 0 is the features'.

  Raises:
    ValueError: where no activation gives maps [B, h, w, D], or [B, l, D] of signals.

  >>> network = lambda x: jax.nn.relu(x).sum((1, 2))
  >>> opened = with_opened_relu(network, jnp.ones((1, 2, 2, 3)))
  >>> logits, features = opened(jnp.ones((1, 2, 2, 3)), 1.0)
  >>> logits.tolist(), features.shape
  ([[8.0, 8.0, 8.0]], (1, 2, 2, 3))
  """
  opened_maps(logits_fn, x)

  def opened(images: Array, shift: Array | float) -> tuple[Array, Array]:
    features = []
    program, number = opened_maps(logits_fn, images)

    def move(operation: Operation, read: Callable[[int], Any]) -> Sequence[Any] | None:
      if operation.outputs != (number,):
        return None
      [value] = operation.apply([read(number) for number in operation.inputs])
      features.append(value + shift)
      return [features[0]]

    [logits] = run(program, [images], move)
    return logits, features[0]

  return opened


def opened_maps(logits_fn: LogitsFn, x: Array) -> tuple[Program, int]:
  """The program of a function, and the number in it of the maps that `with_opened_relu` opens."""
  program = trace(logits_fn, x)
  maps = [
    activation.function.output
    for activation in find_activations(program).here
    if activation.is_rectifier()
    and len(shape := program.types[activation.function.output].shape) == x.ndim
    and shape[0] == len(x)
  ]
  several = [n for n in maps if sorted(program.types[n].shape[1:])[-2] > 1]
  if not maps:
    wanted = "[B, h, w, D]" if x.ndim == 4 else "[B, l, D]"
    raise ValueError(
      f"logits_fn must have a ReLU of maps {wanted}, or a like activation (ReLU6, hard-swish, "
      "SiLU, GELU, leaky ReLU); give features_fn and head_fn"
    )
  return program, (several or maps)[-1]


def _inner_programs(found: Activations) -> list[tuple[Operation, tuple[Activations, ...]]]:
  inner = list(found.bodies.items())
  for inside in found.bodies.values():
    for part in inside:
      inner += _inner_programs(part)
  return inner
