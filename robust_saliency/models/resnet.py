"""ResNet-18 and its like for small images, activated after or before each convolution."""

import flax.linen as nn
from jax import Array

from robust_saliency.core import checks
from robust_saliency.models.initializers import PYTORCH_KERNEL
from robust_saliency.models.residual import batch_norm, convolution

GROUPS = 4


class ResNet(nn.Module):
  """A residual network for CIFAR-10, ResNet-18 by default, of four groups of blocks.

  The first convolution keeps the image's resolution, batch norm and relu follow it; groups work at
  all, a half, a quarter and an eighth of the resolution, with 1, 2, 4 and 8 times `width` features.
  The mean over the positions and a dense layer follow. A block is conv(stride)-bn-relu-conv-bn,
  added to its input, then relu; one that changes the shape takes its shortcut by a 1x1 convolution
  with batch norm.

  With `preactivation` a block is bn-relu-conv(stride)-bn-relu-conv, added to its input; one that
  changes the shape takes its 1x1 shortcut from the activated input. Nothing follows the first
  convolution then, and batch norm and relu the last block where `final_norm` says so.

  Attributes:
    num_classes: the number K of logits.
    axis_name: the `jax.pmap` axis of synchronised batch norm.
    blocks: of each of the four groups; (2, 2, 2, 2) is ResNet-18, (3, 4, 6, 3) ResNet-34.
    width: features of the first group.
    preactivation: whether blocks are activated before their convolutions.
    final_norm: see above; not all published networks have it.

  Source: He, Zhang, Ren & Sun 2016, "Deep residual learning for image recognition", and for
  `preactivation` their "Identity mappings in deep residual networks"; first convolution, widths and
  shortcuts as in PyTorch's usual code for CIFAR-10, in which most robust networks were published
  (Rice, Wong & Kolter 2020; the model zoo of Croce et al. 2021).

  >>> import jax, jax.numpy as jnp
  >>> for preactivation in (False, True):
  ...   init = ResNet(preactivation=preactivation).init
  ...   shapes = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
  ...   print(sum(p.size for p in jax.tree.leaves(shapes["params"])))
  11173962
  11172170
  """

  num_classes: int = 10
  axis_name: str | None = None
  blocks: tuple[int, ...] = (2, 2, 2, 2)
  width: int = 64
  preactivation: bool = False
  final_norm: bool = True

  @property
  def title(self) -> str:
    """As tables of networks write it.

    >>> ResNet().title, ResNet(preactivation=True, blocks=(3, 4, 6, 3)).title
    ('ResNet-18', 'PreActResNet-34')
    """
    prefix = "PreAct" if self.preactivation else ""
    return f"{prefix}ResNet-{2 * sum(self.blocks) + 2}"

  @nn.compact
  def __call__(
    self,
    x: Array,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> Array:
    """Images [B, H, W, C] -> logits [B, K]; the arguments are those of every model."""
    del dropout_keys  # there is no dropout
    checks.count(width=self.width)
    if len(self.blocks) != GROUPS:
      raise ValueError(f"blocks must be {GROUPS} numbers, one a group, got {self.blocks}")
    checks.count(**{f"blocks[{i}]": number for i, number in enumerate(self.blocks)})

    def activate(x: Array) -> Array:
      return nn.relu(batch_norm(self.axis_name)(x, train=train, mask=mask))

    x = convolution(x, self.width, 3)
    if not self.preactivation:
      x = activate(x)
    for group, number in enumerate(self.blocks):
      for block in range(number):
        x = (_PreActivation if self.preactivation else _Usual)(
          features=self.width * 2**group,
          stride=2 if group > 0 and block == 0 else 1,
          axis_name=self.axis_name,
          name=f"group_{group}_block_{block}",
        )(x, train=train, mask=mask)
    if self.preactivation and self.final_norm:
      x = activate(x)
    return nn.Dense(self.num_classes, kernel_init=PYTORCH_KERNEL)(x.mean((1, 2)))


class _Usual(nn.Module):
  """Two 3x3 convolutions beside a shortcut, activated after their sum."""

  features: int
  stride: int
  axis_name: str | None

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Array:
    def normalise(x: Array) -> Array:
      return batch_norm(self.axis_name)(x, train=train, mask=mask)

    y = nn.relu(normalise(convolution(x, self.features, 3, self.stride)))
    y = normalise(convolution(y, self.features, 3))
    if self.stride != 1 or x.shape[-1] != self.features:
      x = normalise(convolution(x, self.features, 1, self.stride))
    return nn.relu(x + y)


class _PreActivation(nn.Module):
  """Two 3x3 convolutions beside a shortcut, each of an activated input."""

  features: int
  stride: int
  axis_name: str | None

  @nn.compact
  def __call__(self, x: Array, *, train: bool, mask: Array | None) -> Array:
    def activate(x: Array) -> Array:
      return nn.relu(batch_norm(self.axis_name)(x, train=train, mask=mask))

    activated = activate(x)
    y = convolution(activated, self.features, 3, self.stride)
    y = convolution(activate(y), self.features, 3)
    if self.stride != 1 or x.shape[-1] != self.features:
      x = convolution(activated, self.features, 1, self.stride)
    return x + y
