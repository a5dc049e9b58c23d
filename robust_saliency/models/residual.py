"""What residual networks are made of, as in PyTorch's usual code for CIFAR-10."""

from functools import partial

import flax.linen as nn
from jax import Array

from robust_saliency.models.batch_norm import BatchNorm
from robust_saliency.models.convolution import loop_safe_conv

# With the momentum and the epsilon of PyTorch's default.
batch_norm = partial(BatchNorm, momentum=0.9, epsilon=1e-5, use_scale=True)


def convolution(x: Array, features: int, size: int, stride: int = 1) -> Array:
  """A square convolution without biases that starts He-normal by fan-out; within `nn.compact`."""
  return nn.Conv(
    features,
    (size, size),
    strides=stride,
    # Not "SAME", which with a stride of 2 pads only on the right and below.
    padding=size // 2,
    use_bias=False,
    kernel_init=nn.initializers.variance_scaling(2, "fan_out", "normal"),
    conv_general_dilated=loop_safe_conv,
  )(x)
