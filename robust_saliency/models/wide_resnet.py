"""Wide residual networks: the usual form, and that of Noack et al."""

import flax.linen as nn
from jax import Array

from robust_saliency.core import checks
from robust_saliency.models.dropout import Dropout
from robust_saliency.models.initializers import PYTORCH_KERNEL, pytorch_bias
from robust_saliency.models.residual import batch_norm, convolution
from robust_saliency.objectives.output_gradients import OUTPUTS

FORMS = ("usual", "noack")
STEM = 16  # features of the first convolution; those of the three groups are 16, 32, 64 x width


class WideResNet(nn.Module):
  """A pre-activation residual network that is wide rather than deep; WRN-28-10 by default.

  For CIFAR-10. Three groups of (depth - 4) / 6 blocks work at full, half and a quarter of the
  image's resolution; the mean over the positions and a dense layer follow. `form` says what a
  block looks like:

    usual   bn-relu-conv(stride)-bn-relu-dropout-conv. A block that changes the shape takes its
            1x1 shortcut from the activated input. No biases but the dense layer's; convolutions
            start He-normal by fan-out.
    noack   bn-relu-conv-dropout-bn-relu-conv(stride). The 1x1 shortcut is taken from the block's
            input as it is. Every convolution has a bias, weights and biases start as PyTorch's,
            and the running statistics of the last batch norm keep 0.1 of their old value, not
            0.9, in each update.

  Both return logits, or with `output` "probabilities" the softmax of them, whatever is then taken
  for logits: so is the network at the head of Noack et al.'s repository, whose losses, attacks and
  penalties apply softmax a second time. Its loss cannot fall below log(1 + (K - 1) / e).

  Attributes:
    num_classes: the number K of logits.
    axis_name: the `jax.pmap` axis of synchronised batch norm.
    depth: layers with weights, 6 n + 4 (the 1x1 shortcuts are not counted): 10, 16, 22, 28, ...
    width: features of the first group in units of 16.
    dropout_rate: the probability that a unit between a block's two convolutions is zeroed.
    form: "usual" or "noack".
    output: "logits", "probabilities" or "log_probabilities".

  Source: Zagoruyko & Komodakis 2016, "Wide residual networks", Table 1 and Figure 1(d); for
  "noack" the code of Noack, Ahern, Dou & Li 2021, "An empirical study on the relation between
  network interpretability and adversarial robustness".

  >>> import jax, jax.numpy as jnp
  >>> for form in FORMS:
  ...   init = WideResNet(form=form).init
  ...   shapes = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
  ...   print(sum(p.size for p in jax.tree.leaves(shapes["params"])))
  36479194
  36489290
  """

  num_classes: int = 10
  axis_name: str | None = None
  depth: int = 28
  width: int = 10
  dropout_rate: float = 0.3
  form: str = "usual"
  output: str = "logits"

  @property
  def title(self) -> str:
    """As tables of networks write it.

    >>> WideResNet(depth=16, width=8).title
    'WideResNet-16-8'
    """
    return f"WideResNet-{self.depth}-{self.width}"

  @nn.compact
  def __call__(
    self,
    x: Array,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> Array:
    """Images [B, H, W, C] -> logits [B, K]; the arguments are those of every model."""
    checks.one_of(self.form, FORMS, argument="form")
    checks.one_of(self.output, OUTPUTS, argument="output")
    checks.count(depth=self.depth, width=self.width)
    if self.depth < 10 or (self.depth - 4) % 6:
      raise ValueError(f"depth must be 6 n + 4 (10, 16, 22, 28, ...), got {self.depth}")
    blocks = (self.depth - 4) // 6
    x = _convolution(x, STEM, 3, 1, self.form)
    for group in range(3):
      for block in range(blocks):
        x = _Block(
          features=STEM * self.width * 2**group,
          stride=2 if group > 0 and block == 0 else 1,
          dropout_rate=self.dropout_rate,
          layer=group * blocks + block,
          form=self.form,
          axis_name=self.axis_name,
          name=f"group_{group}_block_{block}",
        )(x, train=train, mask=mask, dropout_keys=dropout_keys)
    momentum = 0.1 if self.form == "noack" else 0.9
    x = nn.relu(batch_norm(self.axis_name, momentum=momentum)(x, train=train, mask=mask))
    x = x.mean((1, 2))
    bias_init = pytorch_bias(x.shape[-1]) if self.form == "noack" else nn.initializers.zeros
    logits = nn.Dense(self.num_classes, kernel_init=PYTORCH_KERNEL, bias_init=bias_init)(x)
    return OUTPUTS[self.output](logits)


class _Block(nn.Module):
  """Two 3x3 convolutions beside a shortcut."""

  features: int
  stride: int
  dropout_rate: float
  layer: int
  form: str
  axis_name: str | None

  @nn.compact
  def __call__(
    self, x: Array, *, train: bool, mask: Array | None, dropout_keys: Array | None
  ) -> Array:
    def activate(x: Array) -> Array:
      return nn.relu(batch_norm(self.axis_name)(x, train=train, mask=mask))

    def drop(x: Array) -> Array:
      return Dropout(self.dropout_rate, self.layer)(x, train=train, keys=dropout_keys)

    noack = self.form == "noack"
    first_stride, second_stride = (1, self.stride) if noack else (self.stride, 1)
    activated = activate(x)
    y = _convolution(activated, self.features, 3, first_stride, self.form)
    y = activate(drop(y)) if noack else drop(activate(y))
    y = _convolution(y, self.features, 3, second_stride, self.form)
    if self.stride == 1 and x.shape[-1] == self.features:
      return x + y
    return y + _convolution(x if noack else activated, self.features, 1, self.stride, self.form)


def _convolution(x: Array, features: int, size: int, stride: int, form: str) -> Array:
  if form == "usual":
    return convolution(x, features, size, stride)
  bias_init = pytorch_bias(size * size * x.shape[-1])
  return convolution(x, features, size, stride, kernel_init=PYTORCH_KERNEL, bias_init=bias_init)
