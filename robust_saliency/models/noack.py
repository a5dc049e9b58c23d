"""The MNIST network of Noack, Ahern, Dou & Li; theirs for CIFAR-10 is a `WideResNet`."""

import flax.linen as nn
from jax import Array

from robust_saliency.models.convolution import loop_safe_conv
from robust_saliency.models.dropout import Dropout
from robust_saliency.models.initializers import PYTORCH_KERNEL, pytorch_bias
from robust_saliency.models.pooling import first_max_pool


class NoackCNN(nn.Module):
  """Two 5x5 convolutions (32, 64), a pooling after each, and a hidden layer of 1024: "SimpleCNN".

  For MNIST with pixels in [0, 1]. Weights and biases start as PyTorch's.

  Attributes:
    num_classes: the number K of logits.
    axis_name: unused; every model has it.
    dropout_rate: the probability that a unit of the hidden layer is zeroed in training (0.5 in
      the authors' script, 0.4 by default in their class).

  Source: Noack, Ahern, Dou & Li 2021, "An empirical study on the relation between network
  interpretability and adversarial robustness"; details from the authors' code.

  >>> import jax, jax.numpy as jnp
  >>> shapes = jax.eval_shape(NoackCNN().init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
  >>> sum(p.size for p in jax.tree.leaves(shapes))
  3274634
  """

  num_classes: int = 10
  axis_name: str | None = None
  dropout_rate: float = 0.5

  @nn.compact
  def __call__(
    self,
    x: Array,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> Array:
    """Images [B, H, W, C] -> logits [B, K]; the arguments are those of every model."""
    for features in (32, 64):
      convolution = nn.Conv(
        features,
        (5, 5),
        kernel_init=PYTORCH_KERNEL,
        bias_init=pytorch_bias(25 * x.shape[-1]),
        conv_general_dilated=loop_safe_conv,
      )
      x = first_max_pool(nn.relu(convolution(x)))
    x = nn.relu(_dense(x.reshape(len(x), -1), 1024))
    x = Dropout(self.dropout_rate)(x, train=train, keys=dropout_keys)
    return _dense(x, self.num_classes)


def _dense(x: Array, features: int) -> Array:
  bias_init = pytorch_bias(x.shape[-1])
  return nn.Dense(features, kernel_init=PYTORCH_KERNEL, bias_init=bias_init)(x)
