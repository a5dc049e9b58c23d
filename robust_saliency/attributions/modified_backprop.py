"""The gradient with another backward pass through ReLUs, for networks of ReLUs.

They work for any logits function with ReLUs, which `relu_rules.with_relu_rule` finds.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.activation_functions import Activation
from robust_saliency.attributions.arguments import check_arguments
from robust_saliency.attributions.gradient import gradient
from robust_saliency.attributions.lrp_rules import check_rules, has_rule
from robust_saliency.attributions.registry import attribution
from robust_saliency.attributions.relu_rules import (
  replacing,
  traced_relus,
  warn_of_other_activations,
  with_relu_rule,
)
from robust_saliency.attributions.scores import Score, logit
from robust_saliency.attributions.traced_program import run
from robust_saliency.core import Key, LogitsFn, checks, full_precision, map_batches


@attribution(signed=True)
def deconvnet(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  score: str | Score = "logit",
  chunk_size: int | None = None,
) -> Array:
  """The gradient in which a ReLU passes on what is positive of the gradient, whatever it got.

  A ReLU is what gives max(z, 0), however it is written; `with_relu_rule` says more. All else keeps
  its derivative: the upper bound of a ReLU6 does, and other activations (GELU, SiLU, leaky ReLU),
  which are named in a warning.

  Args:
    key: not used; there so that this is an attribution like any other.
    logits_fn: maps images [B, H, W, C] to logits [B, K], by way of ReLUs.
    x: images [B, H, W, C].
    y: the classes to explain, int [B].
    score: as in `gradient`.
    chunk_size: images per model call (static).

  Returns:
    Maps [B, H, W, C], signed.

  Raises:
    ValueError: where there is no ReLU, or one whose gradient cannot be replaced.

  Source: Zeiler & Fergus 2014, "Visualizing and understanding convolutional networks", section 2,
  in the form of Springenberg et al. 2015, table 1.

  >>> slope = lambda z: jax.nn.relu(z) * jnp.array([1.0, -1.0])
  >>> deconvnet(jax.random.key(0), lambda x: slope(x[:, 0, 0]), -jnp.ones((1, 1, 1, 2)),
  ...           jnp.array([0])).tolist()
  [[[[1.0, 0.0]]]]
  """
  x = check_arguments(logits_fn, x, y)
  warn_of_other_activations("deconvnet", logits_fn, x)
  ruled = with_relu_rule(logits_fn, lambda _, g: jax.nn.relu(g))
  return gradient(key, ruled, x, y, score=score, chunk_size=chunk_size)


@attribution(signed=True)
def guided_backprop(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  score: str | Score = "logit",
  chunk_size: int | None = None,
) -> Array:
  """The gradient in which a ReLU passes on what is positive, where it was active itself.

  What is a ReLU, and what becomes of other activations, `deconvnet` says.

  It hardly depends on the class or on the later layers' weights (Adebayo et al. 2018, "Sanity
  checks for saliency maps"): a sharp picture is no evidence.

  Args:
    key: not used; there so that this is an attribution like any other.
    logits_fn: maps images [B, H, W, C] to logits [B, K], by way of ReLUs.
    x: images [B, H, W, C].
    y: the classes to explain, int [B].
    score: as in `gradient`.
    chunk_size: images per model call (static).

  Returns:
    Maps [B, H, W, C], signed.

  Raises:
    ValueError, TypeError: as `deconvnet`.

  Source: Springenberg et al. 2015, "Striving for simplicity: the all convolutional net", section
  3.4.

  >>> slope = lambda z: jax.nn.relu(z) * jnp.array([1.0, -1.0])
  >>> guided_backprop(jax.random.key(0), lambda x: slope(x[:, 0, 0]), jnp.ones((1, 1, 1, 2)),
  ...                 jnp.array([0])).tolist()
  [[[[1.0, 0.0]]]]
  """
  x = check_arguments(logits_fn, x, y)
  warn_of_other_activations("guided_backprop", logits_fn, x)
  ruled = with_relu_rule(logits_fn, lambda z, g: jnp.where(z > 0, jax.nn.relu(g), 0))
  return gradient(key, ruled, x, y, score=score, chunk_size=chunk_size)


@attribution(signed=True)
@full_precision
def lrp(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  epsilon: float | Array = 0.01,
  chunk_size: int | None = None,
) -> Array:
  """Layer-wise relevance propagation by the epsilon rule: shares out the logit, layer by layer.

  A layer z = W a + b gives input a_i the share a_i W_ij / (z_j + epsilon sign(z_j)) of output j's
  relevance; biases keep theirs. That is a * the gradient with the derivative of an activation f
  replaced by f(z) / (z + epsilon sign(z)), which is how it is computed. With epsilon = 0 it is
  `gradient_x_input` in a network of ReLUs; a larger one takes relevance away where z is small,
  which is where the gradient is noisy.

  Args:
    key: not used; there so that this is an attribution like any other.
    logits_fn: maps images [B, H, W, C] to logits [B, K], by linear layers, max pooling and
      activations with f(0) = 0 alone, ReLUs among them; batch norm in evaluation mode counts as
      part of the layer before it. What comes before the first weights keeps its derivative.
    x: images [B, H, W, C]; where 0 lies matters, as in `gradient_x_input`.
    y: the classes to explain, int [B].
    epsilon: >= 0, in units of the activations (traced).
    chunk_size: images per model call (static).

  Returns:
    Maps [B, H, W, C], signed.

  Raises:
    ValueError, TypeError: as `deconvnet`; where an operation has no rule (softmax, layer norm, a
      product of two values that both depend on the image), with its name.

  Source: Bach et al. 2015, "On pixel-wise explanations for non-linear classifier decisions by
  layer-wise relevance propagation", equation 58; as a gradient: Ancona et al. 2018, "Towards
  better understanding of gradient-based attribution methods", proposition 1.

  >>> lrp(jax.random.key(0), lambda x: 2 * jax.nn.relu(x[:, 0, 0]), jnp.ones((1, 1, 1, 2)),
  ...     jnp.array([0]), epsilon=1.0).round(3).tolist()
  [[[[0.667, 0.0]]]]
  """
  del key
  x = check_arguments(logits_fn, x, y)
  checks.non_negative(epsilon=epsilon)
  checks.scalar(epsilon=epsilon)

  def divided(value: Array, z: Array, epsilon: Any) -> Array:
    """`value / (z + epsilon sign(z))`, 0 where that is 0."""
    stabiliser = jnp.asarray(epsilon, z.dtype)
    stabilised = z + jnp.where(z >= 0, stabiliser, -stabiliser)
    return jnp.where(stabilised == 0, 0, value / jnp.where(stabilised == 0, 1, stabilised))

  def shared_out(activation: Activation, *inputs: Any) -> Array:
    # All that is traced goes in as an argument: inside a branch nothing else may.
    @jax.custom_vjp
    def function(epsilon: Any, *inputs: Any) -> Array:
      return activation.function.apply(*inputs)

    def forward(epsilon: Any, z: Array, *others: Any) -> tuple[Array, tuple[Any, ...]]:
      value = activation.function.apply(z, *others)
      return value, (divided(value, z, epsilon), others)

    def backward(kept: tuple[Array, Any], g: Array) -> tuple[Any, ...]:
      share, others = kept
      return (None, g * share, *(None for _ in others))

    function.defvjp(forward, backward)
    return function(epsilon, *inputs)

  def ruled(images: Array) -> Array:
    program, found = traced_relus(logits_fn, images)
    check_rules(program, found)
    activations = [one for one in found.everywhere() if has_rule(one)]
    [logits] = run(program, [images], replacing(found, activations, shared_out))
    return logits

  def explain(images: Array, classes: Array) -> Array:
    outputs, backward = jax.vjp(lambda images: logit(ruled(images), classes), images)
    return images * backward(divided(outputs, outputs, epsilon))[0]

  return map_batches(explain, x, y, chunk_size=chunk_size)
