"""What training leaves: a network and its variables."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from robust_saliency import models
from robust_saliency.core import LogitsFn, files
from robust_saliency.training.metrics import Row


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
  """A module and its trained variables, and the seed that they come from.

  Attributes:
    module: the network, for evaluation.
    variables: its parameters and statistics; NaN where its training has diverged.
    seed: the experiment's.
    diverged: why its training has diverged; "" where it has not.
    rows: the metrics of its training, where it was read from its folder.
    last: its variables after the last step, where `variables` hold averaged parameters.
    snapshots: its variables at the checkpoints that its recipe keeps, the last step's at the end;
      none where its recipe keeps none, or has just been trained.
  """

  module: nn.Module
  variables: Mapping[str, Any]
  seed: int = 0
  diverged: str = ""
  rows: tuple[Row, ...] = ()
  last: Mapping[str, Any] | None = None
  snapshots: tuple[Mapping[str, Any], ...] = ()

  @property
  def logits_fn(self) -> LogitsFn:
    """The network in evaluation mode, as attacks and attributions take it.

    Raises:
      ValueError: if its training has diverged.
    """
    if self.diverged:
      raise ValueError(f"a network whose training has diverged has no logits: {self.diverged}")
    return models.logits_fn(self.module, self.variables)

  @property
  def digest(self) -> str:
    """By which it is recognised: of its numbers, not of its files."""
    kept: Any = self.variables
    if self.last is not None or self.snapshots:
      # Where a recipe keeps them, studies read them, too.
      kept = self.variables, self.last, self.snapshots
    leaves, structure = jax.tree.flatten(kept)
    parts = [
      f"{structure} {self.diverged}",
      *(files.digest_of_array(np.asarray(leaf)) for leaf in leaves),
    ]
    return files.digest("\n".join(parts).encode())
