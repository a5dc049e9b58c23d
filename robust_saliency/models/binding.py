"""From a module and its variables to the plain functions that everything else takes."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import ApplyFn, Key, LogitsFn


def init(module: nn.Module, key: Key, input_shape: Sequence[int]) -> dict[str, Any]:
  """Fresh variables.

  Args:
    module: any of our models.
    key: a PRNG key.
    input_shape: of one image, (H, W, C).

  Returns:
    {"params": ..., "batch_stats": ..., and whatever other collections the module makes}; batch
    statistics are empty for a model without batch norm.

  Raises:
    ValueError: if `input_shape` is not three positive sizes.

  >>> from robust_saliency import models
  >>> sorted(init(models.build("mlp"), jax.random.key(0), (8, 8, 1)))
  ['batch_stats', 'params']
  """
  if len(input_shape) != 3 or not all(size > 0 for size in input_shape):
    raise ValueError(f"input_shape must be (height, width, channels), got {tuple(input_shape)}")
  return {"batch_stats": {}, **jax.jit(module.init)(key, jnp.zeros((1, *input_shape)))}


def logits_fn(module: nn.Module, variables: Mapping[str, Any]) -> LogitsFn:
  """The model in evaluation mode, as attacks and attributions take it.

  Args:
    module: any of our models.
    variables: {"params": ..., "batch_stats": ..., ...}.

  Returns:
    Images [B, H, W, C] -> logits [B, K], by the running statistics and without dropout.

  >>> from robust_saliency import models
  >>> module = models.build("mlp")
  >>> logits_fn(module, init(module, jax.random.key(0), (8, 8, 1)))(jnp.zeros((5, 8, 8, 1))).shape
  (5, 10)
  """
  evaluate = partial(apply_fn(module), variables, train=False)
  return lambda x: evaluate(x)[0]


def apply_fn(module: nn.Module) -> ApplyFn:
  """The model as training takes it: a pure function of its variables in either mode.

  Args:
    module: any of our models.

  Returns:
    `(variables, x, *, train=False, mask=None, dropout_keys=None) -> (logits, collections)`, where
    `variables` needs "params" and what else the module reads. All collections but "params" are
    returned, {"batch_stats": ..., ...}: in training mode as the module has updated them, in
    evaluation mode as they were given. What a module makes anew in training (batch statistics
    apart) is not kept.

  >>> from robust_saliency import models
  >>> module = models.build("digits", batch_norm=True)
  >>> variables = init(module, jax.random.key(0), (8, 8, 1))
  >>> logits, collections = apply_fn(module)(variables, jnp.ones((5, 8, 8, 1)), train=True)
  >>> sorted(collections["batch_stats"])
  ['BatchNorm_0', 'BatchNorm_1', 'BatchNorm_2']
  """

  def apply(
    variables: Mapping[str, Any],
    x: Array,
    *,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> tuple[Array, Mapping[str, Any]]:
    carried = {name: value for name, value in variables.items() if name != "params"}
    logits, updates = module.apply(
      variables,
      x,
      train=train,
      mask=mask,
      dropout_keys=dropout_keys,
      mutable=["batch_stats", *carried] if train else [],
    )
    return logits, {"batch_stats": {}, **carried, **updates}

  return apply
