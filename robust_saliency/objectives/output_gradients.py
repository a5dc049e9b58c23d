"""Input gradients of a network's outputs, which penalties differentiate again.

Each is one backward pass from the one forward pass, for all examples at once.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.tracing import widened
from robust_saliency.objectives.passes import ForwardPass, TrainingPasses

# What a paper calls the network's output, of the logits [B, K].
OUTPUTS: dict[str, Callable[[Array], Array]] = {
  "logits": lambda logits: logits,
  "probabilities": lambda logits: jax.nn.softmax(widened(logits)),
  "log_probabilities": lambda logits: jax.nn.log_softmax(widened(logits)),
}

# Backward passes that a program holds one by one: each adds a second or two of compilation.
MOST_UNROLLED = 16


def output_gradient(once: ForwardPass, weights: Array, *, output: str = "logits") -> Array:
  """d/dx of sum_nk w_nk o_k(x_n): one backward pass.

  Where examples share batch statistics, each pixel's gradient includes its effect on the other
  examples' outputs.

  Args:
    once: a forward pass.
    weights: w [B, K], or [1, K] for the same of all examples.
    output: o, one of `OUTPUTS`.

  Returns:
    [B, H, W, C]; 0 where only padding has a part in it.

  Raises:
    ValueError: for an output that is none.

  >>> from robust_saliency.objectives.passes import forward_pass
  >>> once = forward_pass(lambda x: 3 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)), jnp.array([0]))
  >>> output_gradient(once, jnp.array([[1.0, 2.0]])).tolist()
  [[[[3.0, 6.0]]]]
  """
  checks.one_of(output, OUTPUTS, argument="output")
  outputs_of = OUTPUTS[output]
  return once.input_gradient(lambda logits: jnp.sum(weights * outputs_of(logits), axis=-1))


def output_gradients(once: ForwardPass, directions: Array, *, output: str = "logits") -> Array:
  """`output_gradient` for each of several directions: as many backward passes.

  Args:
    once: a forward pass.
    directions: [M, K], the same for all examples, or [M, B, K].
    output: o, one of `OUTPUTS`.

  Returns:
    [M, B, H, W, C].

  >>> from robust_saliency.objectives.passes import forward_pass
  >>> once = forward_pass(lambda x: 3 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)), jnp.array([0]))
  >>> output_gradients(once, jnp.eye(2))[1].tolist()
  [[[[0.0, 3.0]]]]
  """
  if directions.ndim == 2:
    directions = directions[:, None]

  def along(weights: Array) -> Array:
    return output_gradient(once, weights, output=output)

  # XLA's CPU convolutions take twice as long to differentiate again side by side as one by one.
  if jax.default_backend() == "cpu" and 0 < len(directions) <= MOST_UNROLLED:
    return jnp.stack([along(weights) for weights in directions])
  return jax.vmap(along)(directions)


def true_class_gradient(once: ForwardPass, *, output: str = "logits") -> Array:
  """d o_y / dx, the row of the Jacobian that belongs to the class of the image: [B, H, W, C]."""
  classes = once.logits.shape[1]
  return output_gradient(
    once, jax.nn.one_hot(once.y, classes, dtype=once.logits.dtype), output=output
  )


def class_gradients(once: ForwardPass, *, output: str = "logits") -> Array:
  """d o_k / dx for each class k, the whole Jacobian: [K, B, H, W, C], by K backward passes."""
  every_class = jnp.eye(once.logits.shape[1], dtype=once.logits.dtype)
  return output_gradients(once, every_class, output=output)


def shared_true_class_gradient(passes: TrainingPasses, *, output: str, penalty_mode: str) -> Array:
  """`true_class_gradient` of a training step, computed once for all terms that read it."""
  return _shared(passes, true_class_gradient, output=output, penalty_mode=penalty_mode)


def shared_class_gradients(passes: TrainingPasses, *, output: str, penalty_mode: str) -> Array:
  """`class_gradients` of a training step, computed once for all terms that read them."""
  return _shared(passes, class_gradients, output=output, penalty_mode=penalty_mode)


def _shared(
  passes: TrainingPasses, gradients_of: Callable[..., Array], *, output: str, penalty_mode: str
) -> Array:
  checks.one_of(output, OUTPUTS, argument="output")
  once = passes.in_mode(penalty_mode)
  return passes.shared(
    (gradients_of, output, penalty_mode), lambda: gradients_of(once, output=output)
  )
