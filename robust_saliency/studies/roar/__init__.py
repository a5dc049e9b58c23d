"""ROAR and KAR: networks trained anew on images without the pixels that maps call important."""

from robust_saliency.studies.roar.alone import remove_and_retrain
from robust_saliency.studies.roar.study import Roar

__all__ = ["Roar", "remove_and_retrain"]
