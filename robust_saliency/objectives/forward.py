"""One forward pass that several terms of a loss share."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import LogitsFn


class ForwardPass(NamedTuple):
  """Logits of a batch, and the way back to its pixels.

  The loss and its input gradient come from this one pass; computed apart, XLA does not merge them
  and double backprop costs half as much again.

  Attributes:
    x: images [B, H, W, C].
    y: classes, int [B].
    mask: float [B], 0 for padding, which must not reach other examples through batch norm.
    logits: [B, K].
    pullback: cotangent of the logits [B, K] -> gradient with respect to x.
  """

  x: Array
  y: Array
  mask: Array
  logits: Array
  pullback: Callable[[Array], Array]

  def input_gradient(self, loss: Callable[[Array], Array]) -> Array:
    """The gradient of sum_n loss(logits)_n with respect to x, differentiable in parameters.

    Where examples share batch statistics, each pixel's gradient includes its effect on the other
    examples' losses.
    """
    cotangent = jax.grad(lambda logits: jnp.sum(self.mask * loss(logits)))(self.logits)
    return self.pullback(cotangent)


def forward_pass(logits_fn: LogitsFn, x: Array, y: Array, mask: Array | None = None) -> ForwardPass:
  """Runs `logits_fn` once, keeping the way back.

  >>> once = forward_pass(lambda x: 3 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)), jnp.array([0]))
  >>> once.input_gradient(lambda logits: logits[:, 1]).tolist()
  [[[[0.0, 3.0]]]]
  """
  once, _ = forward_pass_with_statistics(lambda x: (logits_fn(x), None), x, y, mask)
  return once


def forward_pass_with_statistics(
  apply: Callable[[Array], tuple[Array, Any]], x: Array, y: Array, mask: Array | None = None
) -> tuple[ForwardPass, Any]:
  """`forward_pass` of a function images -> (logits, batch statistics), and its statistics."""
  logits, pullback, statistics = jax.vjp(apply, x, has_aux=True)
  mask = jnp.ones(x.shape[0], logits.dtype) if mask is None else mask
  return ForwardPass(x, y, mask, logits, lambda cotangent: pullback(cotangent)[0]), statistics
