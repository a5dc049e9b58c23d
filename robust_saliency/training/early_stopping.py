"""Early stopping: which state of a run is returned, and when to train no further."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

# Number of steps taken -> score of the state then.
Scores = Mapping[int, float]


@dataclasses.dataclass(frozen=True)
class Selection:
  """The state with the highest score is returned; ties go to the earliest.

  Attributes:
    evaluate: state -> score, such as the accuracy on a validation set; equal on all processes.
    every: steps between evaluations; the last step of all is evaluated too.
    first: the first step after which a state may be chosen; the last one of all always may.
    patience: how many evaluations without a higher score end the training; None trains on.
    metric: what the score is called among the metrics.
  """

  evaluate: Callable[[Any], float]
  every: int
  first: int = 0
  patience: int | None = None
  metric: str = "validation_accuracy"

  def due(self, step: int, steps: int) -> bool:
    """Whether the state after this step is evaluated, of a run of so many steps."""
    return step == steps or (step >= self.first and step % self.every == 0)

  def is_over(self, scores: Scores) -> bool:
    """Whether the last `patience` evaluations brought nothing higher."""
    if self.patience is None or not scores:
      return False
    return sum(step > best_step(scores) for step in scores) >= self.patience


def best_step(scores: Scores) -> int:
  """The first step with the highest score.

  >>> best_step({100: 0.8, 200: 0.9, 300: 0.9})
  200
  """
  return min(scores, key=lambda step: (-scores[step], step))
