"""What a step with each penalty on the outputs' input gradients costs beside a plain one.

  python benchmarks/penalty_costs.py     # writes benchmarks/results/penalty_costs.{json,md}

Ross's network on 128 images of 28x28x1 with Adam, as in step_costs.py: cross-entropy alone;
interpretation regularisation, the direction and the magnitude of one input gradient; the norm of
the Jacobian of all ten logits, exactly and by one random projection. As training does it, on the
host devices that it gets; in PyTorch the same weights and a thread per core.
"""

import machine  # before all others

# isort: split
import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
import timing
import torch
from step_costs import plain, torch_step
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy
from torch_twin import images_for_torch
from training_steps import BATCH, PLAIN, STEPS, our_step

from robust_saliency import models

CLASSES = 10
DIRECTION, MAGNITUDE, JACOBIAN = 3.0, 0.15, 0.01
INTERPRETATION, EXACT, PROJECTED = "interpretation", "Jacobian, exact", "Jacobian, projected"
OBJECTIVES: dict[str, dict[str, dict[str, Any]]] = {
  PLAIN: {"cross_entropy": {}},
  INTERPRETATION: {
    "cross_entropy": {},
    "interpretation_direction": {"weight": DIRECTION},
    "interpretation_magnitude": {"weight": MAGNITUDE},
  },
  EXACT: {"cross_entropy": {}, "jacobian_penalty": {"weight": JACOBIAN}},
  PROJECTED: {"cross_entropy": {}, "projected_jacobian_penalty": {"weight": JACOBIAN}},
}


def interpretation(twin: nn.Module, x: Tensor, y: Tensor, *, maps: Tensor) -> Tensor:
  x = x.clone().requires_grad_()
  logits = twin(x)
  true = logits.gather(1, y[:, None]).sum()
  (slope,) = torch.autograd.grad(true, x, create_graph=True)
  direction = 1 - cosine_similarity(slope.flatten(1), maps.flatten(1)).mean()
  return cross_entropy(logits, y) + DIRECTION * direction + MAGNITUDE * torch.norm(slope)


def exact(twin: nn.Module, x: Tensor, y: Tensor) -> Tensor:
  x = x.clone().requires_grad_()
  logits = twin(x)
  squares = torch.zeros(())
  for k in range(CLASSES):
    (row,) = torch.autograd.grad(logits[:, k].sum(), x, create_graph=True)
    squares = squares + row.pow(2).flatten(1).sum(1).mean()
  return cross_entropy(logits, y) + JACOBIAN * squares


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument("--repeats", type=int, default=10)
  arguments = parser.parse_args()
  machine.prepare_torch(tf32=True)
  random = np.random.default_rng(0)
  x = random.integers(0, 256, (BATCH, 28, 28, 1)).astype(np.uint8)
  y = random.integers(0, CLASSES, BATCH).astype(np.int32)
  maps = random.normal(size=x.shape).astype(np.float32)
  variables = models.init(models.build("ross"), jax.random.key(0), (28, 28, 1))
  losses: dict[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {
    PLAIN: plain,
    INTERPRETATION: partial(interpretation, maps=images_for_torch(maps)),
    EXACT: exact,
  }
  ours = {name: f"robust_saliency: {name}, {machine.DEVICES} devices" for name in OBJECTIVES}
  theirs = {name: f"PyTorch: {name}" for name in losses}
  calls: dict[str, Callable[[], None]] = {}
  for name, objective in OBJECTIVES.items():
    calls[ours[name]] = our_step(objective, variables, x, y, maps=maps)
    if name in losses:
      calls[theirs[name]] = torch_step(losses[name], variables, x, y)
  compile_seconds = {ours[name]: timing.seconds(calls[ours[name]]) for name in OBJECTIVES}
  print(
    timing.report(
      "penalty_costs",
      f"Training of Ross's network with Adam: calls of {STEPS} steps of {BATCH} images "
      f"of 28x28x1, {CLASSES} classes, float32.",
      timing.take_turns(calls, repeats=arguments.repeats),
      compile_seconds=compile_seconds,
      ratios={
        "interpretation / plain, ours": (ours[INTERPRETATION], ours[PLAIN], "at most 2.8"),
        "interpretation / plain, PyTorch's": (theirs[INTERPRETATION], theirs[PLAIN], "none"),
        "exact Jacobian / plain, ours": (ours[EXACT], ours[PLAIN], f"at most {CLASSES + 4}"),
        "exact Jacobian / plain, PyTorch's": (theirs[EXACT], theirs[PLAIN], "none"),
        "projected Jacobian / plain, ours": (ours[PROJECTED], ours[PLAIN], "none"),
      },
      environment=machine.environment("jax", "torch", "robust_saliency"),
    )
  )


if __name__ == "__main__":
  main()
