"""Input gradients: their norms, and how confident the networks are."""

from robust_saliency.studies.gradients.study import Gradients

__all__ = ["Gradients"]
