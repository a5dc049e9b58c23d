"""What a study hands on: arrays and facts, written once and read by claims and reports."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class StudyResult:
  """The outcome of one measurement.

  Attributes:
    name: the name the config gives the study, unique in an experiment.
    kind: which measurement this is ("accuracy", "robustness", "transfer", "saliency", ...); it
      fixes the names and the axes of `arrays` and `facts`, see the study's own file.
    arrays: everything measured, per example where that exists.
    facts: what the arrays' axes mean (models, seeds, attacks, epsilons), JSON-serialisable.
  """

  name: str
  kind: str
  arrays: dict[str, np.ndarray]
  facts: dict[str, Any]
