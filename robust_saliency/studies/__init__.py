"""One file per measurement.

A study is any `(networks, dataset, key, **settings) -> (arrays, facts)`; `networks` holds, by
name, one trained network per seed. To add one, write the file, enter it in `STUDIES`, and give
the report a function for its kind.
"""

from robust_saliency.results import judge
from robust_saliency.studies.claims import (
  ClaimResult,
  check_claim,
  judge_claim,
  undecided_claim,
)
from robust_saliency.studies.measures import MEASURES
from robust_saliency.studies.registry import STUDIES, check_study, get_study, run_study
from robust_saliency.studies.result import StudyResult, load_result, save_result
from robust_saliency.studies.selection import families_of
from robust_saliency.studies.training_curves import training_curves

__all__ = [
  "MEASURES",
  "STUDIES",
  "ClaimResult",
  "StudyResult",
  "check_claim",
  "check_study",
  "families_of",
  "get_study",
  "judge",
  "judge_claim",
  "load_result",
  "run_study",
  "save_result",
  "training_curves",
  "undecided_claim",
]
