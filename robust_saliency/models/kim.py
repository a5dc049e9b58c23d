"""The networks of Kim, Seo & Jeon."""

from functools import partial

import flax.linen as nn
from jax import Array

from robust_saliency.models.convolution import loop_safe_conv
from robust_saliency.models.pooling import first_max_pool

# Weights start Glorot-uniform and biases at zero; there is no batch norm and no dropout ("to
# remove outside influence", as the authors' code says).
_Conv = partial(
  nn.Conv,
  kernel_init=nn.initializers.glorot_uniform(),
  conv_general_dilated=loop_safe_conv,
)
_Dense = partial(nn.Dense, kernel_init=nn.initializers.glorot_uniform())


class KimMNISTCNN(nn.Module):
  """Two 5x5 convolutions (32, 64), one pooling after both, and a hidden layer of 1024.

  For MNIST and Fashion-MNIST with pixels in [-1, 1]: `data.load("mnist", bounds=(-1, 1))`.

  Attributes:
    num_classes: the number K of logits.
    axis_name: unused; every model has it.
    width: how many times as many units each layer has, 0.25 say.

  Source: Kim, Seo & Jeon 2019, "Bridging adversarial robustness and gradient interpretability";
  details from the authors' code (1202kbs/Robustness-and-Interpretability).

  >>> import jax, jax.numpy as jnp
  >>> shapes = jax.eval_shape(KimMNISTCNN().init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
  >>> sum(p.size for p in jax.tree.leaves(shapes))
  12908426
  """

  num_classes: int = 10
  axis_name: str | None = None
  width: float = 1.0

  @nn.compact
  def __call__(
    self,
    x: Array,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> Array:
    """Images [B, H, W, C] -> logits [B, K]; the arguments are those of every model."""
    first, second, hidden = (max(round(self.width * units), 1) for units in (32, 64, 1024))
    x = nn.relu(_Conv(first, (5, 5))(x))
    x = first_max_pool(nn.relu(_Conv(second, (5, 5))(x)))
    x = nn.relu(_Dense(hidden)(x.reshape(len(x), -1)))
    return _Dense(self.num_classes)(x)


class KimCIFARCNN(nn.Module):
  """Two pairs of 3x3 convolutions (32, 64), a pooling after each pair, a hidden layer of 512.

  For CIFAR-10 with pixels in [-1, 1]: `data.load("cifar10", bounds=(-1, 1))`. The same network,
  trained anew, measures ROAR and KAR.

  Attributes:
    num_classes: the number K of logits.
    axis_name: unused; every model has it.
    width: how many times as many units each layer has, 0.25 say.

  Source: as `KimMNISTCNN`.

  >>> import jax, jax.numpy as jnp
  >>> shapes = jax.eval_shape(KimCIFARCNN().init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
  >>> sum(p.size for p in jax.tree.leaves(shapes))
  2168362
  """

  num_classes: int = 10
  axis_name: str | None = None
  width: float = 1.0

  @nn.compact
  def __call__(
    self,
    x: Array,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> Array:
    """Images [B, H, W, C] -> logits [B, K]; the arguments are those of every model."""
    first, second, hidden = (max(round(self.width * units), 1) for units in (32, 64, 512))
    for features in (first, second):
      x = nn.relu(_Conv(features, (3, 3))(x))
      x = first_max_pool(nn.relu(_Conv(features, (3, 3))(x)))
    x = nn.relu(_Dense(hidden)(x.reshape(len(x), -1)))
    return _Dense(self.num_classes)(x)
