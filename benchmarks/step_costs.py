"""What a training step of each defence costs beside a plain one, here and in PyTorch.

  python benchmarks/step_costs.py     # writes benchmarks/results/step_costs.{json,md}

Ross's network on 128 images of 28x28x1 with Adam: cross-entropy alone; GR(y), the input-gradient
penalty through the pass in training mode, which is differentiated twice; and FGSM adversarial
training, half clean and half attacked in training mode with predicted labels. As training does it,
on the host devices that it gets; in PyTorch the same weights and a thread per core. On a GPU (`make
bench-gpu`) 50 steps of 256 images a call, as training takes them there, both in TF32.
"""

import machine  # before all others

# isort: split
import argparse
from collections.abc import Callable

import jax
import numpy as np
import timing
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch_twin import Twin, Variables, classes_for_torch, device, images_for_torch
from training_steps import (
  ADAM_EPSILON,
  ADVERSARIAL,
  BATCH,
  EPSILON,
  LEARNING_RATE,
  OBJECTIVES,
  PENALISED,
  PENALTY,
  PLAIN,
  STEPS,
  our_step,
)

from robust_saliency import models


class TrainedTwin(nn.Module):
  """The twin in training mode: batch statistics, dropout, and weights that learn."""

  def __init__(self, variables: Variables):
    super().__init__()
    *layers, last = Twin(variables).layers
    for layer in (*layers, last):
      scaled = isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d)
      # Ours have a bias after batch norm and none before it, and no scale.
      for name, parameter in layer.named_parameters():
        parameter.requires_grad = name == "bias" if scaled else True
      if isinstance(layer, nn.Conv2d | nn.Linear) and layer is not last:
        layer.bias = None
    self.layers = nn.Sequential(*layers, nn.Dropout(0.5), last).train().to(device())

  def forward(self, x: Tensor) -> Tensor:
    """Images [B, C, H, W] -> logits [B, K]."""
    return self.layers(x)


def plain(twin: nn.Module, x: Tensor, y: Tensor) -> Tensor:
  return cross_entropy(twin(x), y)


def penalised(twin: nn.Module, x: Tensor, y: Tensor) -> Tensor:
  x = x.clone().requires_grad_()
  losses = cross_entropy(twin(x), y, reduction="none")
  (slope,) = torch.autograd.grad(losses.sum(), x, create_graph=True)
  return losses.mean() + PENALTY * slope.pow(2).flatten(1).sum(1).mean()


def adversarial(twin: nn.Module, x: Tensor, y: Tensor) -> Tensor:
  image = x.clone().requires_grad_()
  logits = twin(image)
  (slope,) = torch.autograd.grad(cross_entropy(logits, logits.argmax(1)), image)
  x_adv = (x + EPSILON * slope.sign()).clamp(0, 1)
  return 0.5 * cross_entropy(twin(x), y) + 0.5 * cross_entropy(twin(x_adv), y)


LOSSES: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {
  PLAIN: plain,
  PENALISED: penalised,
  ADVERSARIAL: adversarial,
}


def torch_step(
  loss: Callable[[nn.Module, Tensor, Tensor], Tensor],
  variables: Variables,
  x: np.ndarray,
  y: np.ndarray,
) -> Callable[[], None]:
  """A call that takes STEPS steps."""
  twin = TrainedTwin(variables)
  learning = [parameter for parameter in twin.parameters() if parameter.requires_grad]
  optimizer = torch.optim.Adam(learning, lr=LEARNING_RATE, eps=ADAM_EPSILON, fused=True)
  images, classes = images_for_torch(x.astype(np.float32) / 255), classes_for_torch(y)

  def call() -> None:
    for _ in range(STEPS):
      optimizer.zero_grad()
      loss(twin, images, classes).backward()
      optimizer.step()
    machine.wait_for_torch()

  return call


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument("--repeats", type=int, default=10)
  arguments = parser.parse_args()
  machine.prepare_torch(tf32=True)
  random = np.random.default_rng(0)
  x = random.integers(0, 256, (BATCH, 28, 28, 1)).astype(np.uint8)
  y = random.integers(0, 10, BATCH).astype(np.int32)
  variables = models.init(models.build("ross"), jax.random.key(0), (28, 28, 1))
  ours = {name: f"robust_saliency: {name}, {machine.DEVICES} devices" for name in OBJECTIVES}
  theirs = {name: f"PyTorch: {name}" for name in LOSSES}
  calls: dict[str, Callable[[], None]] = {}
  for name in OBJECTIVES:
    calls[ours[name]] = our_step(OBJECTIVES[name], variables, x, y)
    calls[theirs[name]] = torch_step(LOSSES[name], variables, x, y)
  compile_seconds = {ours[name]: timing.seconds(calls[ours[name]]) for name in OBJECTIVES}
  print(
    timing.report(
      machine.result("step_costs"),
      f"Training of Ross's network with Adam: calls of {STEPS} steps of {BATCH} images of 28x28x1"
      f"{machine.size(', float32', on_gpu=', TF32')}.",
      timing.take_turns(calls, repeats=arguments.repeats),
      compile_seconds=compile_seconds,
      ratios={
        "GR(y) / plain, ours": (ours[PENALISED], ours[PLAIN], "at most 2.8"),
        "GR(y) / plain, PyTorch's": (theirs[PENALISED], theirs[PLAIN], "none"),
        "adversarial / plain, ours": (ours[ADVERSARIAL], ours[PLAIN], "at most 3"),
        "adversarial / plain, PyTorch's": (theirs[ADVERSARIAL], theirs[PLAIN], "none"),
        **{
          f"PyTorch's {name} step / ours": (theirs[name], ours[name], "none") for name in OBJECTIVES
        },
      },
      environment=machine.environment("jax", "torch", "robust_saliency"),
    )
  )


if __name__ == "__main__":
  main()
