"""Initial weights of the frameworks in which the papers' networks were written."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from robust_saliency.core import checks

# U(-b, b) with b = 1 / sqrt(fan_in): PyTorch's default for the weights of convolutions and dense
# layers since its first version, `kaiming_uniform_(a=sqrt(5))` by name.
PYTORCH_KERNEL = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def pytorch_bias(fan_in: int) -> Callable[..., Array]:
  """U(-b, b) with b = 1 / sqrt(fan_in): PyTorch's default for biases.

  Args:
    fan_in: products that are summed up for one output of the layer; a bias has no shape to tell.

  Returns:
    A Flax initialiser, (key, shape, dtype) -> bias.

  >>> bias = pytorch_bias(100)(jax.random.key(0), (9999,))
  >>> round(float(abs(bias).max()), 2)
  0.1
  """
  checks.count(fan_in=fan_in)

  def initialize(key: Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
    return jax.random.uniform(key, shape, dtype, -1, 1) / fan_in**0.5

  return initialize
