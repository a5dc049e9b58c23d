"""What residual networks are made of, as in PyTorch's usual code for CIFAR-10."""

from functools import partial

import flax.linen as nn
from jax import Array
from jax.nn.initializers import Initializer

from robust_saliency.models.batch_norm import BatchNorm
from robust_saliency.models.convolution import loop_safe_conv

# With the momentum and the epsilon of PyTorch's default.
batch_norm = partial(BatchNorm, momentum=0.9, epsilon=1e-5, use_scale=True)


HE_NORMAL = nn.initializers.variance_scaling(2, "fan_out", "normal")


def convolution(
  x: Array,
  features: int,
  size: int,
  stride: int = 1,
  *,
  kernel_init: Initializer = HE_NORMAL,
  bias_init: Initializer | None = None,
) -> Array:
  """A square convolution, within `nn.compact`; without biases where nothing says how they start."""
  return nn.Conv(
    features,
    (size, size),
    strides=stride,
    # Not "SAME", which with a stride of 2 pads only on the right and below.
    padding=size // 2,
    use_bias=bias_init is not None,
    kernel_init=kernel_init,
    bias_init=bias_init or nn.initializers.zeros,
    conv_general_dilated=loop_safe_conv,
  )(x)
