"""A multi-layer perceptron."""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
from jax import Array

from robust_saliency.core import checks
from robust_saliency.models.dropout import Dropout

KERNELS = {
  "lecun_normal": nn.initializers.lecun_normal(),
  "glorot_uniform": nn.initializers.glorot_uniform(),
}


class MLP(nn.Module):
  """Fully connected layers with ReLU between them.

  Attributes:
    num_classes: the number K of logits.
    axis_name: unused; every model has it.
    hidden: the widths of the hidden layers; none gives a linear model.
    dropout_rate: the probability that a hidden unit is zeroed in training.
    kernel_init: how weights start, "lecun_normal" (Flax's default) or "glorot_uniform"
      (TensorFlow's). Biases start at zero.

  With `hidden=(128,), kernel_init="glorot_uniform"` this is the network of Kim, Seo & Jeon 2019
  for their two-dimensional mixture (`data.load("kim_toy")`).

  >>> import jax, jax.numpy as jnp
  >>> variables = MLP(hidden=()).init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
  >>> jax.tree.map(jnp.shape, variables["params"])
  {'Dense_0': {'bias': (10,), 'kernel': (64, 10)}}
  """

  num_classes: int = 10
  axis_name: str | None = None
  hidden: Sequence[int] = (256, 256)
  dropout_rate: float = 0.0
  kernel_init: str = "lecun_normal"

  @nn.compact
  def __call__(
    self,
    x: Array,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> Array:
    """Images [B, H, W, C] -> logits [B, K]; the arguments are those of every model."""
    checks.one_of(self.kernel_init, KERNELS, argument="kernel_init")
    dense = partial(nn.Dense, kernel_init=KERNELS[self.kernel_init])
    x = x.reshape(len(x), -1)
    checks.count(**{f"hidden[{layer}]": width for layer, width in enumerate(self.hidden)})
    for layer, width in enumerate(self.hidden):
      x = nn.relu(dense(width)(x))
      x = Dropout(self.dropout_rate, layer)(x, train=train, keys=dropout_keys)
    return dense(self.num_classes)(x)
