"""DeepLIFT: how far a change of each pixel explains the logit's change from a baseline."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.gradient import check_attribution_arguments
from robust_saliency.attributions.scores import logit
from robust_saliency.attributions.traced_program import (
  apply,
  check_has_relu,
  relu_operand,
  run_replaced,
)
from robust_saliency.core import Key, LogitsFn, full_precision, map_batches

# Operations that give the largest of several of their input's numbers. Our networks' pooling is a
# program of many operations, known by its name.
_POOLS = ("reduce_window_max", "reduce_max")
_NAMED_POOLS = ("first_max_pool",)


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

  (x - baseline) * the gradient in which the derivative of a ReLU is replaced by its slope between
  the two images, (relu(z) - relu(z_0)) / (z - z_0). In max pooling the change of the maximum goes
  to the pixel that is largest: in the image where the maximum has grown, in the baseline where it
  has fallen. The maps sum to logit(x) - logit(baseline), where ReLUs and max pooling are all that
  is not linear; batch norm in evaluation mode is linear.

  Args:
    key: not used; there so that this is an attribution like any other.
    logits_fn: maps images [B, H, W, C] to logits [B, K], by way of ReLUs, each image on its own.
      Other operations keep their derivative.
    x: images [B, H, W, C].
    y: the classes to explain, int [B].
    baseline: what x is compared with: a number (traced), or an array that broadcasts to x.
    chunk_size: images per model call (static); each takes two rows, itself and its baseline.

  Returns:
    Maps [B, H, W, C], signed.

  Raises:
    ValueError, TypeError: for bad arguments, in a sentence that names them; where there is no
      ReLU, or one that cannot be found.

  Source: Shrikumar et al. 2017, "Learning important features through propagating activation
  differences", section 3.5.1; the rule of max pooling is that of Lundberg & Lee's `shap` and of
  captum.

  >>> deeplift(jax.random.key(0), lambda x: jax.nn.relu(x[:, 0, 0] - 1),
  ...          jnp.full((1, 1, 1, 2), 3.0), jnp.array([0])).tolist()
  [[[[2.0, 0.0]]]]
  """
  del key
  check_attribution_arguments(logits_fn, x, y)
  check_has_relu(logits_fn, x)
  start = jnp.broadcast_to(jnp.asarray(baseline, x.dtype), x.shape)

  def explain(images: Array, baselines: Array, classes: Array) -> Array:
    pairs = jnp.concatenate([images, baselines])

    def total(pairs: Array) -> Array:
      return jnp.sum(logit(_with_slopes(logits_fn, pairs), jnp.concatenate([classes, classes])))

    slopes, _ = jnp.split(jax.grad(total)(pairs), 2)
    return (images - baselines) * slopes

  return map_batches(explain, x, start, y, chunk_size=chunk_size)


def _with_slopes(logits_fn: LogitsFn, pairs: Array) -> Array:
  """The logits of images [2B, ...], the baselines behind the images, backwards by the slopes."""

  def replace(operation: Any, inputs: Sequence[Any]) -> Sequence[Any] | None:
    if (place := relu_operand(operation)) is not None:
      return [_rescaled(jax.nn.relu, inputs[place])]
    if operation.primitive.name in _POOLS or operation.params.get("name") in _NAMED_POOLS:
      return [_rescaled(lambda a: apply(operation, [a])[0], *inputs)]
    return None

  return run_replaced(logits_fn, pairs, replace)


def _rescaled(function: Callable[[Array], Array], z: Array) -> Array:
  """`function(z)`, whose backward pass shares out its change over its inputs' changes.

  The function takes each output from one of its inputs (a ReLU and a maximum do), so that its own
  backward pass says which input an output's change belongs to.
  """

  @jax.custom_vjp
  def ruled(z: Array) -> Array:
    return function(z)

  def backward(z: Array, g: Array) -> tuple[Array]:
    value, own_backward = jax.vjp(function, z)
    change = _change(value)
    # A growing output belongs to the input that gives it now, a falling one to that of before.
    shares = jnp.concatenate([jnp.maximum(change, 0), jnp.minimum(change, 0)])
    (shared,) = own_backward(g * shares)
    (derivative,) = own_backward(g)
    share, share_before = jnp.split(shared, 2)
    change_of_input = _change(z)
    still = change_of_input == 0
    slope = jnp.where(
      still,
      jnp.split(derivative, 2)[0],
      (share + share_before) / jnp.where(still, 1, change_of_input),
    )
    return (jnp.concatenate([slope, slope]),)

  ruled.defvjp(lambda z: (function(z), z), backward)
  return ruled(z)


def _change(pairs: Array) -> Array:
  now, before = jnp.split(pairs, 2)
  return now - before
