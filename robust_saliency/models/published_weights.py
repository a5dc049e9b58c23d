"""Weights that others have published for PyTorch, in our networks."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jax import Array

from robust_saliency.core import LogitsFn, checks
from robust_saliency.core.files import DamagedFileError
from robust_saliency.models.binding import init, logits_fn
from robust_saliency.models.published_layouts import LAYOUTS, Layout, of_size
from robust_saliency.models.resnet import ResNet
from robust_saliency.models.wide_resnet import WideResNet

_SUFFIX = ".safetensors"
_CONVERT = (
  "python -c \"import torch, safetensors.torch; read = torch.load({given!r}, map_location='cpu', "
  "weights_only=True); safetensors.torch.save_file({{name: tensor.contiguous() for name, tensor in "
  "read.get('state_dict', read).items()}}, {wanted!r})\""
)
# The normalisation of the pixels within the model: the last part of its tensors' names.
_MEANS, _STDS = ("mean", "mu"), ("std", "sigma")
# PyTorch's counts of batches, and a group that the code of TRADES makes and never calls.
_COUNTS, _NEVER_CALLED = "num_batches_tracked", "sub_block1."


@dataclasses.dataclass(frozen=True, eq=False)
class PublishedNetwork:
  """A network with weights that were published.

  Attributes:
    module: ours.
    variables: {"params": ..., "batch_stats": ...}, of `module`.
    mean: what the network subtracts from the pixels of each channel [C]; None where it takes them
      as they are.
    std: what it then divides them by, likewise.
  """

  module: WideResNet | ResNet
  variables: Mapping[str, Any]
  mean: Array | None = None
  std: Array | None = None

  @property
  def architecture(self) -> str:
    """As tables of robustness write it ("WideResNet-28-10")."""
    return self.module.title

  @property
  def logits_fn(self) -> LogitsFn:
    """Images [B, H, W, C] in [0, 1] -> logits [B, K], normalised within, in evaluation mode."""
    of_normalised = logits_fn(self.module, self.variables)
    mean, std = self.mean, self.std
    if mean is None or std is None:
      return of_normalised
    return lambda x: of_normalised((x - mean) / std)


def read_published_weights(path: str | Path) -> PublishedNetwork:
  """A residual network with the weights in a safetensors file, batch statistics included.

  The two usual layouts of robust models for CIFAR that were published for PyTorch are read, behind
  any prefix ("module.", "1."): wide residual networks with tensors `conv1`, `block1.layer.0.bn1`,
  ..., `block3.layer.N.convShortcut`, `bn1` and `fc`; and ResNets of two convolutions a block with
  `conv1`, `layer1.0.bn1`, ..., `layer4.N.shortcut.0` and `linear`, activated after or before their
  convolutions, as the size of the first `bn1` of a block that changes the shape tells. Beside them
  may lie the mean and standard deviation (`mean` and `std`, or `mu` and `sigma`) of a normalisation
  that is part of the model. Depth, width and the number of classes are those of the tensors.
  Nothing in the file is executed; a pickle (.pt, .pth) would be, and is refused.

  Args:
    path: a file NAME.safetensors.

  Raises:
    ValueError: for another file, with the way to convert a pickle; for tensors that are missing,
      left over, of another shape or not finite, each by its name.
    FileNotFoundError: if there is no such file.

  Source: the layouts are those of the PyTorch code of Zhang et al. 2019 (TRADES) after Zagoruyko &
  Komodakis 2016, and of Rice, Wong & Kolter 2020 after He et al. 2016, which the model zoo of Croce
  et al. 2021 (RobustBench) has, too.

  Example, run in `tests/models/test_published_weights_peers.py` with weights saved by PyTorch:

      network = models.read_published_weights("trades_wrn_34_10.safetensors")
      verdicts = attacks.autoattack(key, network.logits_fn, x, y, epsilon=8 / 255)

  >>> read_published_weights("trades.pt")  # doctest: +ELLIPSIS
  Traceback (most recent call last):
  ValueError: path must be a file NAME.safetensors, got trades.pt: it may be a pickle, ...
  """
  path = Path(path)
  if path.suffix != _SUFFIX:
    command = _CONVERT.format(given=str(path), wanted=str(path.with_suffix(_SUFFIX)))
    raise ValueError(
      f"path must be a file NAME{_SUFFIX}, got {path}: it may be a pickle, which executes what is "
      f"in it; convert one that you trust by {command}"
    )
  tensors = _read(path)
  layout, prefix = _layout(tensors, path)
  named = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
  module, channels = layout.module(named, path), named["conv1.weight"].shape[1]
  expected = _expected(module, channels)
  variables, problems = {}, []
  for name, place in layout.places(module).items():
    if place not in expected:
      continue  # of the shortcuts that a block of this width has not
    if name not in named:
      problems.append(f"{name} is missing")
      continue
    value = _in_our_order(named.pop(name))
    if value.shape != expected[place]:
      problems.append(f"{name} must have {of_size(expected[place])}, got {of_size(value.shape)}")
    elif not np.isfinite(value).all():
      problems.append(f"{name} must be finite")
    variables[place] = value
  mean, std = _normalisation(named, channels)
  problems += [
    f"{checks.printable(name)} is left over"
    for name in named
    if name.rpartition(".")[2] != _COUNTS and not name.startswith(_NEVER_CALLED)
  ]
  if problems:
    raise DamagedFileError(f"{path} must hold a {module.title}: {', '.join(problems)}")
  of_module = jax.tree.map(jnp.asarray, traverse_util.unflatten_dict(variables))
  return PublishedNetwork(module, of_module, mean, std)


def _read(path: Path) -> dict[str, np.ndarray]:
  """Name -> tensor, of numbers in float32 where they are not whole."""
  from safetensors import safe_open

  if not path.is_file():
    raise FileNotFoundError(f"path must name a file, got {path}, which is none")
  tensors = {}
  try:
    with safe_open(path, framework="numpy") as file:
      for name in file.keys():  # noqa: SIM118 - it is no mapping
        tensors[name] = np.asarray(file.get_tensor(name))
  # Whatever the library says of bytes and types of numbers that it cannot read.
  except Exception as error:
    said = " ".join(str(error).split())[:200]
    raise DamagedFileError(f"{path} cannot be read as safetensors: {said}") from None
  return {
    name: one if np.issubdtype(one.dtype, np.integer) else one.astype(np.float32)
    for name, one in tensors.items()
  }


def _layout(tensors: Mapping[str, np.ndarray], path: Path) -> tuple[Layout, str]:
  """The layout of a file's tensors, and what stands before all of their names."""
  found = [
    (layout, name.removesuffix(layout.head))
    for layout in LAYOUTS
    for name in tensors
    if f".{name}".endswith(f".{layout.head}")
    and f"{name.removesuffix(layout.head)}{layout.first}" in tensors
  ]
  if len(found) != 1:
    known = " or ".join(f"{layout.head} and {layout.first}" for layout in LAYOUTS)
    raise DamagedFileError(
      f"{path} must hold one residual network in a usual layout, with {known}, got "
      f"{checks.listed(map(checks.printable, tensors)) or 'no tensors'}"
    )
  return found[0]


def _expected(module: WideResNet | ResNet, channels: int) -> dict[tuple[str, ...], tuple[int, ...]]:
  """Where our variables lie -> their shapes."""
  variables = jax.eval_shape(lambda: init(module, jax.random.key(0), (32, 32, channels)))
  return {place: one.shape for place, one in traverse_util.flatten_dict(variables).items()}


def _in_our_order(tensor: np.ndarray) -> np.ndarray:
  """Kernels [C_out, C_in, H, W] as [H, W, C_in, C_out], matrices [K, C] as [C, K]."""
  return tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T


def _normalisation(
  named: dict[str, np.ndarray], channels: int
) -> tuple[Array, Array] | tuple[None, None]:
  """The mean and standard deviation [C] among the tensors that are left, which it takes out.

  Where they are not one pair of numbers for the channels, they stay there.
  """
  means, stds = (
    [name for name in named if name.rpartition(".")[2] in words] for words in (_MEANS, _STDS)
  )
  if len(means) != 1 or len(stds) != 1:
    return None, None
  mean, std = named[means[0]].ravel(), named[stds[0]].ravel()
  if not (mean.size == std.size == channels and np.isfinite(mean).all() and (std > 0).all()):
    return None, None
  del named[means[0]], named[stds[0]]
  return jnp.asarray(mean), jnp.asarray(std)
