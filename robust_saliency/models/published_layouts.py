"""How the tensors of residual networks are called that were published for PyTorch."""

import abc
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from robust_saliency.core.files import DamagedFileError
from robust_saliency.models.resnet import GROUPS, ResNet
from robust_saliency.models.wide_resnet import STEM, WideResNet

Place = tuple[str, ...]
Tensors = Mapping[str, np.ndarray]

_IN_DENSE = {"weight": "kernel", "bias": "bias"}
_IN_BATCH_NORM = {
  "weight": ("params", "scale"),
  "bias": ("params", "bias"),
  "running_mean": ("batch_stats", "mean"),
  "running_var": ("batch_stats", "var"),
}


class Layout(abc.ABC):
  """One way to call a network's tensors.

  Attributes:
    head: the weights of the last layer.
    first: those of the first block's first convolution.
  """

  head: ClassVar[str]
  first: ClassVar[str]

  @abc.abstractmethod
  def module(self, named: Tensors, path: Path) -> WideResNet | ResNet:
    """Our module of the tensors' depth, width and classes.

    Args:
      named: by their names without a prefix.
      path: where they were read, for refusals.

    Raises:
      DamagedFileError: if the tensors that say so have other shapes.
    """

  @abc.abstractmethod
  def layers(self, module: WideResNet | ResNet) -> Iterator[tuple[str, Place]]:
    """The published name of each layer, and its module's name in ours."""

  def places(self, module: WideResNet | ResNet) -> dict[str, Place]:
    """The published name of each tensor -> where it lies among our variables, if it does."""
    places: dict[str, Place] = {}
    for name, here in self.layers(module):
      if here[-1].startswith("Conv"):
        places[f"{name}.weight"] = ("params", *here, "kernel")
      elif here[-1].startswith("Dense"):
        places |= {f"{name}.{one}": ("params", *here, ours) for one, ours in _IN_DENSE.items()}
      else:
        for one, (collection, ours) in _IN_BATCH_NORM.items():
          places[f"{name}.{one}"] = (collection, *here, ours)
    return places


class Wide(Layout):
  """Wide residual networks, as in the code of TRADES."""

  head, first = "fc.weight", "block1.layer.0.conv1.weight"
  _OF_BLOCK: ClassVar = {
    "bn1": "BatchNorm_0",
    "conv1": "Conv_0",
    "bn2": "BatchNorm_1",
    "conv2": "Conv_1",
    "convShortcut": "Conv_2",
  }

  def module(self, named: Tensors, path: Path) -> WideResNet:
    """See `Layout.module`."""
    _, first, head = shapes = _shapes(named, "conv1.weight", self.first, self.head)
    if [len(shape) for shape in shapes] != [4, 4, 2] or first[0] % STEM or 0 in first:
      raise DamagedFileError(
        f"{path} must hold convolutions conv1.weight and {self.first}, of {STEM} and of a multiple "
        f"of {STEM} features, and a matrix {self.head}, got {', '.join(map(of_size, shapes))}"
      )
    blocks = len({name.split(".")[2] for name in named if name.startswith("block1.layer.")})
    depth, width = 6 * blocks + 4, first[0] // STEM
    return WideResNet(num_classes=head[0], depth=depth, width=width, dropout_rate=0.0)

  def layers(self, module: WideResNet | ResNet) -> Iterator[tuple[str, Place]]:
    """See `Layout.layers`."""
    assert isinstance(module, WideResNet)
    yield from (("conv1", ("Conv_0",)), ("bn1", ("BatchNorm_0",)), ("fc", ("Dense_0",)))
    for group, block in itertools.product(range(3), range((module.depth - 4) // 6)):
      for layer, ours in self._OF_BLOCK.items():
        yield f"block{group + 1}.layer.{block}.{layer}", (f"group_{group}_block_{block}", ours)


class Basic(Layout):
  """ResNets of two convolutions a block, activated after or before them."""

  head, first = "linear.weight", "layer1.0.conv1.weight"
  _OF_BLOCK: ClassVar = {
    "conv1": "Conv_0",
    "bn1": "BatchNorm_0",
    "conv2": "Conv_1",
    "bn2": "BatchNorm_1",
    "shortcut.0": "Conv_2",
    "shortcut.1": "BatchNorm_2",
  }
  # The first block that changes the shape: batch norm before its convolution is of its input.
  _CHANGES: ClassVar = "layer2.0.bn1.weight"

  def module(self, named: Tensors, path: Path) -> ResNet:
    """See `Layout.module`."""
    names = ("conv1.weight", self.first, self.head, self._CHANGES)
    shapes = _shapes(named, *names)
    blocks = tuple(
      len({name.split(".")[1] for name in named if name.startswith(f"layer{group + 1}.")})
      for group in range(GROUPS)
    )
    if [len(shape) for shape in shapes] != [4, 4, 2, 1] or 0 in (*shapes[0], *blocks):
      raise DamagedFileError(
        f"{path} must hold convolutions conv1.weight and {self.first}, a matrix {self.head}, "
        f"{self._CHANGES} and {GROUPS} groups of blocks, got {', '.join(map(of_size, shapes))} and "
        f"{', '.join(map(str, blocks))} blocks"
      )
    width = shapes[0][0]
    before = shapes[3][0] == width
    return ResNet(
      num_classes=shapes[2][0],
      blocks=blocks,
      width=width,
      preactivation=before,
      final_norm=not before or "bn.weight" in named,
    )

  def layers(self, module: WideResNet | ResNet) -> Iterator[tuple[str, Place]]:
    """See `Layout.layers`."""
    assert isinstance(module, ResNet)
    norm = "bn" if module.preactivation else "bn1"
    yield from (("conv1", ("Conv_0",)), (norm, ("BatchNorm_0",)), ("linear", ("Dense_0",)))
    for group, blocks in enumerate(module.blocks):
      for block, (layer, ours) in itertools.product(range(blocks), self._OF_BLOCK.items()):
        yield f"layer{group + 1}.{block}.{layer}", (f"group_{group}_block_{block}", ours)


LAYOUTS: tuple[Layout, ...] = (Wide(), Basic())


def of_size(shape: Sequence[int]) -> str:
  """A shape as refusals say it.

  >>> of_size((3, 16))
  'shape [3, 16]'
  """
  return f"shape {list(shape)}"


def _shapes(named: Tensors, *names: str) -> list[tuple[int, ...]]:
  """Those of tensors, () where there is none."""
  nothing = np.zeros(())
  return [named.get(name, nothing).shape for name in names]
