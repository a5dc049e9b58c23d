"""The network of Ross & Doshi-Velez."""

from functools import partial

import flax.linen as nn
from jax import Array

from robust_saliency.models.batch_norm import BatchNorm
from robust_saliency.models.convolution import loop_safe_conv
from robust_saliency.models.dropout import Dropout
from robust_saliency.models.local_contrast import local_contrast_normalization
from robust_saliency.models.pooling import first_max_pool


class RossCNN(nn.Module):
  """Two 5x5 convolutions (32, 64) and a hidden layer of 1024, each with batch norm.

  For 28x28x1 (MNIST, notMNIST) and 32x32x1 (SVHN in grey, `data.load("svhn")`, with
  `contrast_mean`). Batch norm has a bias and no scale,
  epsilon 1e-3, momentum 0.9, so the layers before it have no bias. Weights start Glorot-uniform.

  Attributes:
    num_classes: the number K of logits.
    axis_name: the `jax.pmap` axis of synchronised batch norm.
    dropout_rate: the probability that a unit of the hidden layer is zeroed in training.
    contrast_mean: "image" or "batch" puts `local_contrast_normalization` before the first layer,
      as the authors do for SVHN, and says whose mean it takes (the authors' code: the batch's);
      None for none.
    batch_norm: whether batch norm stands before each ReLU, as in the paper; where it does not, the
      layers have biases.

  Source: Ross & Doshi-Velez, AAAI 2018, "Improving the adversarial robustness and
  interpretability of deep neural networks by regularizing their input gradients", Experiments;
  details from the authors' code (dtak/adversarial-robustness-public).

  >>> import jax, jax.numpy as jnp
  >>> variables = RossCNN().init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
  >>> sum(p.size for p in jax.tree.leaves(variables["params"]))
  3274634
  """

  num_classes: int = 10
  axis_name: str | None = None
  dropout_rate: float = 0.5
  contrast_mean: str | None = None
  batch_norm: bool = True

  @nn.compact
  def __call__(
    self,
    x: Array,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> Array:
    """Images [B, H, W, C] -> logits [B, K]; the arguments are those of every model."""
    glorot = nn.initializers.glorot_uniform()
    convolution = partial(
      nn.Conv,
      kernel_size=(5, 5),
      use_bias=not self.batch_norm,
      kernel_init=glorot,
      conv_general_dilated=loop_safe_conv,
    )

    def activate(x: Array) -> Array:
      if self.batch_norm:
        x = BatchNorm(self.axis_name)(x, train=train, mask=mask)
      return nn.relu(x)

    if self.contrast_mean is not None:
      # Away from training there is neither padding nor, for sure, the axis of the devices.
      over_devices = self.axis_name if train and not self.is_initializing() else None
      x = local_contrast_normalization(
        x, mean=self.contrast_mean, mask=mask, axis_name=over_devices
      )
    x = first_max_pool(activate(convolution(32)(x)))
    x = first_max_pool(activate(convolution(64)(x)))
    x = x.reshape(len(x), -1)
    x = activate(nn.Dense(1024, use_bias=not self.batch_norm, kernel_init=glorot)(x))
    x = Dropout(self.dropout_rate)(x, train=train, keys=dropout_keys)
    return nn.Dense(self.num_classes, kernel_init=glorot)(x)
