"""DeepLIFT: how far a change of each pixel explains the logit's change from a baseline."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.activation_functions import OPENED, Activations, find_activations
from robust_saliency.attributions.arguments import baseline_images, check_arguments
from robust_saliency.attributions.elementwise import Elementwise, elementwise_functions
from robust_saliency.attributions.registry import attribution
from robust_saliency.attributions.rescale_rules import (
  Pair,
  as_pair,
  between,
  is_linear_operation,
  rescaled,
  shared_out,
)
from robust_saliency.attributions.scores import logit
from robust_saliency.attributions.traced_program import (
  Operation,
  Program,
  Replacement,
  has_own_derivative,
  run,
  run_bodies,
  trace,
)
from robust_saliency.core import Key, LogitsFn, checks, full_precision, map_batches
from robust_saliency.core.tracing import wide_dtype, widened

# Of the logit's change, above which an error of the sum is warned of.
_TOLERANCE = 1e-3


@attribution(signed=True)
@full_precision
def deeplift(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  baseline: Array | float = 0.0,
  chunk_size: int | None = None,
) -> Array:
  """Shares out the logit's difference to a baseline by the rescale rule.

  (x - baseline) * the gradient in which the derivative of an elementwise function (ReLU, GELU,
  tanh, however it is written) is replaced by its slope between the two images,
  (f(z) - f(z_0)) / (z - z_0). A product of two values that both depend on the image (a gate, an
  attention's, a normalisation by statistics) gives each the mean of the other over the two images;
  a quotient is a product with the reciprocal. In max pooling the change of the maximum goes to the
  pixel that is largest: in the image where the maximum has grown, in the baseline where it has
  fallen.

  By these rules the maps sum to logit(x) - logit(baseline), as `completeness_error` tells. For
  what has no rule (sorting, a choice by other pixels than the chosen), the mean of the derivatives
  at the two images stands in, and a warning says how far the sum is off. It is off, too, where an
  image's logits depend on other images of the batch (batch norm in training mode): there only the
  maps of all images together sum to the logits' changes. And rounding throws it off in a stack of
  layer norms whose variance at the baseline is 0: there each multiplies what it passes on by
  hundreds, and another baseline helps.

  Args:
    key: not used; there so that this is an attribution like any other.
    logits_fn: maps images [B, H, W, C] to logits [B, K]. Derivatives of its own do not count
      (`jax.custom_jvp`, `jax.custom_vjp`, unless of what is linear; `jax.lax.stop_gradient`).
    x: images [B, H, W, C].
    y: the classes to explain, int [B].
    baseline: what x is compared with: a number (traced), or an array that broadcasts to x.
    chunk_size: images per model call (static); each is kept twice, itself and its baseline.

  Returns:
    Maps [B, H, W, C], signed. Maps that do not sum to the logit's change are warned of, though
    not inside `jit`, where they are not known.

  Source: Shrikumar et al. 2017, "Learning important features through propagating activation
  differences", section 3.5.1; the rule of max pooling is that of Lundberg & Lee's `shap` and of
  captum, that of products is Shapley's value of two players.

  >>> deeplift(jax.random.key(0), lambda x: jax.nn.relu(x[:, 0, 0] - 1),
  ...          jnp.full((1, 1, 1, 2), 3.0), jnp.array([0])).tolist()
  [[[[2.0, 0.0]]]]
  """
  del key
  x = check_arguments(logits_fn, x, y)
  start = baseline_images(baseline, x)
  without_rule: dict[str, None] = {}

  def explain(images: Array, baselines: Array, classes: Array) -> tuple[Array, Array, Array]:
    program = trace(logits_fn, images)
    found = find_activations(program)

    def total(images: Array) -> tuple[Array, tuple[Array, Array]]:
      by_rules = _by_rules(program, found, without_rule)
      [logits] = run(program, [Pair(images, baselines)], by_rules)
      now, before = (logit(part, classes) for part in as_pair(logits))
      return jnp.sum(now), (widened(now), widened(before))

    slopes, (now, before) = jax.grad(total, has_aux=True)(images)
    maps = (images - baselines) * slopes
    places, change = tuple(range(1, maps.ndim)), now - before
    error = jnp.sum(maps, axis=places, dtype=wide_dtype(maps)) - change
    rounding = 100 * float(jnp.finfo(images.dtype).eps) * (jnp.abs(now) + jnp.abs(before))
    complete = jnp.abs(error) <= _TOLERANCE * jnp.abs(change) + rounding
    return maps, jnp.where(complete, 0, error), change

  maps, errors, changes = map_batches(explain, x, start, y, chunk_size=chunk_size)
  _warn_of_errors(errors, changes, list(without_rule))
  return maps


def _by_rules(program: Program, found: Activations, without_rule: dict[str, None]) -> Replacement:
  """A `Replacement` that runs a program on `Pair`s, with the slopes as backward pass."""
  functions: dict[Operation, Elementwise] = {}
  inside_of_them: set[Operation] = set()

  def gather(program: Program, found: Activations) -> None:
    for chain in elementwise_functions(program, set(found.dependent)):
      for function in chain:
        [*others, last] = function.operations
        changing = [number in found.dependent for number in last.inputs]
        if others or not is_linear_operation(last, changing):
          functions[last] = function
          inside_of_them.update(others)
    for operation in program.operations:
      if operation.name in OPENED or has_own_derivative(operation):
        inside = found.bodies.get(operation) or map(find_activations, operation.bodies)
        for body, part in zip(operation.bodies, inside, strict=True):
          gather(body, part)

  gather(program, found)

  def replace(operation: Operation, read: Callable[[int], Any]) -> Sequence[Any] | None:
    if (function := functions.get(operation)) is not None:
      source, *others = (read(number) for number in function.inputs())
      if isinstance(source, Pair):
        if jnp.issubdtype(jnp.result_type(source.now), jnp.floating):
          return [rescaled(function.apply, source, *others)]
    inputs = [read(number) for number in operation.inputs]
    if not any(isinstance(value, Pair) for value in inputs):
      return None
    if operation in inside_of_them:
      return _at_both(operation, inputs)
    return _outputs(operation, inputs, replace, without_rule)

  return replace


def _outputs(
  operation: Operation,
  inputs: Sequence[Any],
  replace: Replacement,
  without_rule: dict[str, None],
) -> Sequence[Any]:
  if operation.name == "stop_gradient":
    return inputs
  if operation.name == "cond" and isinstance(inputs[0], Pair):
    without_rule["cond"] = None
    return _chosen(operation, inputs, replace)
  if operation.name in OPENED:
    return run_bodies(operation, inputs, replace, as_pair)
  outputs = _at_both(operation, inputs)
  floats = any(jnp.issubdtype(jnp.result_type(pair.now), jnp.floating) for pair in outputs)
  if not floats or is_linear_operation(operation, [isinstance(value, Pair) for value in inputs]):
    # The baseline's values are constants, so that the derivative is that of the image's alone.
    return outputs

  def function(*values: Any) -> Any:
    return operation.apply(values)[0]

  if has_own_derivative(operation):
    return run(operation.bodies[0], inputs, replace)
  if len(outputs) > 1:
    without_rule[operation.name] = None
    return outputs
  ruled = shared_out(operation.name, function, inputs)
  if ruled is None:
    without_rule[operation.name] = None
    ruled = between(function, inputs)
  return [ruled]


def _chosen(operation: Operation, inputs: Sequence[Any], replace: Replacement) -> list[Pair]:
  """A branch that depends on the image: complete where both images take the same one."""
  index, *rest = inputs
  branches = [map(as_pair, run(body, rest, replace)) for body in operation.bodies]
  outputs = []
  for cases in zip(*branches, strict=True):
    chosen = cases[0]
    for number, case in enumerate(cases[1:], start=1):
      now = jnp.where(index.now == number, case.now, chosen.now)
      chosen = Pair(now, jnp.where(index.before == number, case.before, chosen.before))
    outputs.append(chosen)
  return outputs


def _at_both(operation: Operation, inputs: Sequence[Any]) -> list[Pair]:
  pairs = [as_pair(value) for value in inputs]
  now, before = ([pair[i] for pair in pairs] for i in (0, 1))
  return [Pair(*both) for both in zip(operation.apply(now), operation.apply(before), strict=True)]


def _warn_of_errors(errors: Array, changes: Array, without_rule: Sequence[str]) -> None:
  if not checks.is_concrete(errors):
    return
  values = np.asarray(errors)
  if not values.any():
    return
  worst = int(np.argmax(np.abs(values)))
  reason = (
    f"there is no rule for {', '.join(without_rule)}"
    if without_rule
    else "logits may depend on other images of the batch, or a variance be 0 at the baseline"
  )
  warnings.warn(
    f"deeplift's maps do not sum to the logit's change for {np.count_nonzero(values)} of "
    f"{values.size} images: off by up to {abs(values[worst]):.3g}, of a change of "
    f"{float(np.asarray(changes)[worst]):.3g}; {reason}",
    stacklevel=4,
  )
