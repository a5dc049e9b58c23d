"""Networks whose ReLUs have another backward pass than their derivative, or can be looked into.

Guided backpropagation, deconvolution and LRP are the gradient with such a rule. Each `max(z, 0)` of
the traced program is replaced; the values stay what they were.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.traced_program import (
  Replacement,
  check_has_relu,
  relu_operand,
  run_replaced,
)
from robust_saliency.core import LogitsFn

# (z, the gradient of the score with respect to relu(z)) -> what is passed on to z.
ReluRule = Callable[[Array, Array], Array]


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
    check_has_relu(logits_fn, x)
    return run_replaced(logits_fn, x, _for_relu(relu))

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
    return run_replaced(logits_fn, images, _for_relu(lambda z: at(next(numbers), jax.nn.relu(z))))

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


def _for_relu(relu: Callable[[Array], Array]) -> Replacement:
  def replace(operation: Any, inputs: Sequence[Any]) -> Sequence[Any] | None:
    place = relu_operand(operation)
    return None if place is None else [relu(inputs[place])]

  return replace
