"""Networks whose ReLUs have another backward pass than their derivative, or can be looked into.

Guided backpropagation, deconvolution and LRP are the gradient with such a rule. Libraries that own
their layers swap them; here any logits function will do: its program is read as JAX traces it
(a "jaxpr"), and each `max(z, 0)` in it is replaced. The values stay what they were.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from robust_saliency.core import LogitsFn

# (z, the gradient of the score with respect to relu(z)) -> what is passed on to z.
ReluRule = Callable[[Array, Array], Array]

# What only groups operations, and may be replaced by them.
_GROUPS = ("jit", "pjit", "closed_call", "core_call", "remat2", "checkpoint")


def with_relu_rule(logits_fn: LogitsFn, rule: ReluRule) -> LogitsFn:
  """The same function, differentiated with another rule for its ReLUs.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K]. Its ReLUs are `jax.nn.relu` and
      `jnp.maximum(z, 0)`, also inside `jax.jit` and `jax.checkpoint`.
    rule: `(z, g) -> the gradient passed on to z`, all of one shape; g arrives at relu(z).

  Returns:
    A function of images with the same logits.

  Raises:
    ValueError: when it is called, where there is no ReLU, or one inside a loop, a branch or a
      function with a derivative of its own, where none can be replaced.

  >>> twice = with_relu_rule(lambda x: jax.nn.relu(x), lambda z, g: 2 * g)
  >>> jax.grad(lambda x: twice(x).sum())(jnp.array([-1.0, 1.0])).tolist()
  [2.0, 2.0]
  """

  @jax.custom_vjp
  def relu(z: Array) -> Array:
    return jnp.maximum(z, 0)

  relu.defvjp(lambda z: (relu(z), z), lambda z, g: (rule(z, g),))

  def replaced(x: Array) -> Array:
    program = jax.make_jaxpr(logits_fn)(x)
    if not _contains_relu(program.jaxpr):
      raise ValueError("logits_fn must have ReLUs (jax.nn.relu), since their gradient is replaced")
    (logits,) = _evaluate(program.jaxpr, program.consts, [x], relu)
    return logits

  return replaced


def with_opened_relu(
  logits_fn: LogitsFn, x: Array
) -> Callable[[Array, Array | float], tuple[Array, Array]]:
  """The same function, open at its last ReLU that gives maps: what is there can be seen and moved.

  Args:
    logits_fn: as in `with_relu_rule`.
    x: images [B, H, W, C]; only their shape counts.

  Returns:
    `(images, shift) -> (logits [B, K], features [B, h, w, D])`, where `shift`, which has the
    features' shape or is a number, has been added to them. Its gradient at 0 is the features'.

  Raises:
    ValueError: where no ReLU gives maps [B, h, w, D], or as `with_relu_rule`.

  >>> network = lambda x: jax.nn.relu(x).sum((1, 2))
  >>> opened = with_opened_relu(network, jnp.ones((1, 2, 2, 3)))
  >>> logits, features = opened(jnp.ones((1, 2, 2, 3)), 1.0)
  >>> logits.tolist(), features.shape
  ([[8.0, 8.0, 8.0]], (1, 2, 2, 3))
  """

  def run(images: Array, at: Callable[[int, Array], Array]) -> Array:
    numbers = itertools.count()
    program = jax.make_jaxpr(logits_fn)(images)
    (logits,) = _evaluate(
      program.jaxpr, program.consts, [images], lambda z: at(next(numbers), jax.nn.relu(z))
    )
    return logits

  shapes = []

  def note(_: int, a: Array) -> Array:
    shapes.append(a.shape)
    return a

  jax.eval_shape(lambda images: run(images, note), jax.ShapeDtypeStruct(x.shape, x.dtype))
  giving_maps = [i for i, shape in enumerate(shapes) if len(shape) == 4 and len(x) == shape[0]]
  if not giving_maps:
    raise ValueError(
      "logits_fn must have a ReLU of maps [B, h, w, D]; give features_fn and head_fn"
    )

  def opened(images: Array, shift: Array | float) -> tuple[Array, Array]:
    features = []

    def move(number: int, a: Array) -> Array:
      if number != giving_maps[-1]:
        return a
      features.append(a + shift)
      return features[0]

    logits = run(images, move)
    return logits, features[0]

  return opened


def _evaluate(
  program: Jaxpr, constants: Sequence[Any], arguments: Sequence[Any], relu: Callable[[Array], Array]
) -> list[Any]:
  """Runs a program operation by operation, with `relu` for its ReLUs."""
  values = dict(zip([*program.constvars, *program.invars], [*constants, *arguments], strict=True))

  def read(atom: Any) -> Any:
    return atom.val if isinstance(atom, Literal) else values[atom]

  for equation in program.eqns:
    inputs = [read(atom) for atom in equation.invars]
    group = _group(equation)
    if (operand := _relu_operand(equation)) is not None:
      outputs = [relu(read(operand))]
    elif group is not None:
      outputs = _evaluate(group.jaxpr, group.consts, inputs, relu)
    elif any(map(_contains_relu, _programs_inside(equation))):
      raise ValueError(
        f"logits_fn has a ReLU inside {equation.primitive.name}, where its gradient cannot be "
        "replaced; only jax.jit and jax.checkpoint may stand around it"
      )
    else:
      bound = equation.primitive.get_bind_params(equation.params)
      # Older releases of jax give the functions among the parameters apart from the others.
      functions, parameters = bound if isinstance(bound, tuple) else ((), bound)
      result = equation.primitive.bind(*functions, *inputs, **parameters)
      outputs = result if equation.primitive.multiple_results else [result]
    values.update(zip(equation.outvars, outputs, strict=True))
  return [read(atom) for atom in program.outvars]


def _relu_operand(equation: Any) -> Any:
  """The z of max(z, 0) or of `jax.nn.relu`, None for other operations."""
  if equation.primitive.name == "max":
    a, b = equation.invars
    return b if _is_zero(a) else a if _is_zero(b) else None
  if equation.primitive.name == "custom_jvp_call":
    # `jax.nn.relu` has a derivative of its own at 0; inside it is nothing but max(z, 0).
    [program] = _programs_inside(equation)
    while len(program.eqns) == 1:
      [inner] = program.eqns
      if inner.primitive.name == "max":
        return equation.invars[0] if _relu_operand(inner) is not None else None
      if (group := _group(inner)) is None:
        return None
      program = group.jaxpr
  return None


def _is_zero(atom: Any) -> bool:
  return (
    isinstance(atom, Literal)
    and jnp.issubdtype(jnp.result_type(atom.val), jnp.floating)
    and np.ndim(atom.val) == 0
    and float(atom.val) == 0
  )


def _group(equation: Any) -> ClosedJaxpr | None:
  if equation.primitive.name not in _GROUPS:
    return None
  inside = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
  return ClosedJaxpr(inside, ()) if isinstance(inside, Jaxpr) else inside


def _contains_relu(program: Jaxpr) -> bool:
  return any(
    _relu_operand(equation) is not None or any(map(_contains_relu, _programs_inside(equation)))
    for equation in program.eqns
  )


def _programs_inside(equation: Any) -> Iterator[Jaxpr]:
  for parameter in equation.params.values():
    for program in parameter if isinstance(parameter, (tuple, list)) else [parameter]:
      if isinstance(program, ClosedJaxpr):
        yield program.jaxpr
      elif isinstance(program, Jaxpr):
        yield program
