"""The curves of training: no study that a config names, but a result like a study's."""

from robust_saliency.studies.training.curves import (
  TRAINING,
  curves_layout,
  is_logged,
  training_curves,
)
from robust_saliency.studies.training.page import PROBED, section

__all__ = ["PROBED", "TRAINING", "curves_layout", "is_logged", "section", "training_curves"]
