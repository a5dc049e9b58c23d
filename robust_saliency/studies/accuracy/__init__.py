"""Clean accuracy: which test examples each network classifies correctly."""

from robust_saliency.studies.accuracy.study import Accuracy

__all__ = ["Accuracy"]
