"""AutoAttack as torchattacks' attacks make it, with every image held to the threat model."""

from typing import Any

import numpy as np
import torch
import torchattacks
from torch import nn
from torch_twin import classes_for_torch, images_for_torch, images_from_torch

from robust_saliency.attacks.evaluation.verification import leaves_threat_model

NORMS = {"linf": "Linf", "l2": "L2"}


def robust(
  twin: nn.Module,
  x: np.ndarray,
  y: np.ndarray,
  *,
  norm: str,
  epsilon: float,
  seed: int,
  classes: int = 10,
  steps: int = 100,
  queries: int = 5000,
) -> np.ndarray:
  """Which examples are robust to the standard version, attacks in turn.

  torchattacks' own `AutoAttack` takes 10 steps where the authors take 100, and does not look
  whether FAB's images lie within the ball; so its parts are put together here.

  Args:
    twin: a network of images [B, C, H, W].
    x: images [N, H, W, C] in [0, 1].
    y: the true classes, int [N].
    norm: "linf" or "l2".
    epsilon: radius of the ball.
    seed: of every attack's random numbers.
    classes: the number of classes; all others are targets.
    steps: of each run of APGD and FAB.
    queries: of Square.

  Returns:
    bool [N].
  """
  shared: dict[str, Any] = {"norm": NORMS[norm], "eps": epsilon, "seed": seed}
  attacks = [
    torchattacks.APGD(twin, steps=steps, loss="ce", **shared),
    torchattacks.APGDT(twin, steps=steps, n_classes=classes, **shared),
    torchattacks.FAB(twin, steps=steps, multi_targeted=True, n_classes=classes, **shared),
    torchattacks.Square(twin, n_queries=queries, **shared),
  ]
  left = np.flatnonzero(_correct(twin, x, y))
  for attack in attacks:
    if not len(left):
      break
    x_adv = images_from_torch(attack(images_for_torch(x[left]), classes_for_torch(y[left])))
    outside = leaves_threat_model(x_adv, x[left], norm=norm, epsilon=epsilon, bounds=(0.0, 1.0))
    left = left[outside | _correct(twin, x_adv, y[left])]
  stands = np.zeros(len(y), bool)
  stands[left] = True
  return stands


def _correct(twin: nn.Module, x: np.ndarray, y: np.ndarray) -> np.ndarray:
  with torch.no_grad():
    return twin(images_for_torch(x)).argmax(dim=1).cpu().numpy() == y
