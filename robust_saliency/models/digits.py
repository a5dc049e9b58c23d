"""A small network for the embedded 8x8 digits."""

from functools import partial

import flax.linen as nn
from jax import Array

from robust_saliency.models.batch_norm import BatchNorm
from robust_saliency.models.convolution import loop_safe_conv
from robust_saliency.models.pooling import first_max_pool


class DigitsCNN(nn.Module):
  """Two 3x3 convolutions and a hidden layer of 64; a few seconds on a CPU train it.

  Attributes:
    num_classes: the number K of logits.
    axis_name: the `jax.pmap` axis of synchronised batch norm.
    batch_norm: whether batch norm stands before each ReLU.

  >>> import jax, jax.numpy as jnp
  >>> variables = DigitsCNN().init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
  >>> sum(p.size for p in jax.tree.leaves(variables["params"]))
  35914
  """

  num_classes: int = 10
  axis_name: str | None = None
  batch_norm: bool = False

  @nn.compact
  def __call__(
    self,
    x: Array,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> Array:
    """Images [B, H, W, C] -> logits [B, K]; the arguments are those of every model."""
    convolution = partial(
      nn.Conv,
      kernel_size=(3, 3),
      use_bias=not self.batch_norm,
      conv_general_dilated=loop_safe_conv,
    )

    def activate(x: Array) -> Array:
      if self.batch_norm:
        x = BatchNorm(self.axis_name)(x, train=train, mask=mask)
      return nn.relu(x)

    x = first_max_pool(activate(convolution(32)(x)))
    x = first_max_pool(activate(convolution(64)(x)))
    x = x.reshape(len(x), -1)
    x = activate(nn.Dense(64, use_bias=not self.batch_norm)(x))
    return nn.Dense(self.num_classes)(x)
