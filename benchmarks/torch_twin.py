"""Our convolutional networks written for PyTorch, with the weights copied."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import torch
from torch import Tensor, nn

Variables = Mapping[str, Any]


def device() -> str:
  """Where PyTorch computes: where JAX does."""
  return "cuda" if jax.default_backend() == "gpu" else "cpu"


class Twin(nn.Module):
  """RossCNN or DigitsCNN in evaluation mode: two convolutions with pooling, two dense layers.

  Args:
    variables: of the Flax module, with or without batch norm.

  Takes images [B, C, H, W], as PyTorch's attacks do, and gives logits [B, K].
  """

  def __init__(self, variables: Variables):
    super().__init__()
    variables = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf)), variables)
    params, running = variables["params"], variables.get("batch_stats", {})

    def frozen(tensor: Tensor) -> nn.Parameter:
      return nn.Parameter(tensor.contiguous(), requires_grad=False)

    layers: list[nn.Module] = []
    for i in range(2):
      kernel = params[f"Conv_{i}"]["kernel"].permute(3, 2, 0, 1)
      out_channels, in_channels, *size = kernel.shape
      layer = nn.Conv2d(in_channels, out_channels, size, padding="same")
      layer.weight = frozen(kernel)
      layer.bias = frozen(params[f"Conv_{i}"].get("bias", torch.zeros(out_channels)))
      layers += [layer, *_batch_norm(params, running, i, nn.BatchNorm2d), nn.ReLU()]
      layers.append(nn.MaxPool2d(2))
    layers.append(ChannelsLast())
    for i in range(2):
      kernel = params[f"Dense_{i}"]["kernel"]
      dense = nn.Linear(*kernel.shape)
      dense.weight = frozen(kernel.T)
      dense.bias = frozen(params[f"Dense_{i}"].get("bias", torch.zeros(kernel.shape[1])))
      layers.append(dense)
      if i == 0:
        layers += [*_batch_norm(params, running, 2, nn.BatchNorm1d), nn.ReLU()]
    self.layers = nn.Sequential(*layers).to(device())
    # As a whole: torchattacks leaves a model in the mode that it finds it in.
    self.eval()

  def forward(self, x: Tensor) -> Tensor:
    """Images [B, C, H, W] -> logits [B, K]."""
    return self.layers(x)


class ChannelsLast(nn.Module):
  """Flattens [B, C, H, W] in the order [H, W, C] of the Flax networks."""

  def forward(self, x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, H * W * C]."""
    return x.permute(0, 2, 3, 1).flatten(1)


def images_for_torch(x: Any) -> Tensor:
  """[B, H, W, C] -> [B, C, H, W]."""
  return torch.tensor(np.asarray(x), device=device()).permute(0, 3, 1, 2).contiguous()


def classes_for_torch(y: Any) -> Tensor:
  """Classes int [B] as PyTorch wants them, int64."""
  return torch.tensor(np.asarray(y), dtype=torch.long, device=device())


def images_from_torch(x: Tensor) -> np.ndarray:
  """[B, C, H, W] -> [B, H, W, C]."""
  return x.detach().permute(0, 2, 3, 1).cpu().numpy()


def _batch_norm(params: Variables, running: Variables, i: int, kind: type) -> list[nn.Module]:
  """The batch norm after layer i, where there is one; ours has a bias and no scale."""
  name = f"BatchNorm_{i}"
  if name not in running:
    return []
  layer = kind(len(running[name]["mean"]), eps=1e-3)
  layer.running_mean, layer.running_var = running[name]["mean"], running[name]["var"]
  layer.bias = nn.Parameter(params[name]["bias"], requires_grad=False)
  layer.weight = nn.Parameter(torch.ones_like(layer.bias), requires_grad=False)
  return [layer]
