"""Targeted attacks: each class to every other, and whether the examples transfer."""

from robust_saliency.studies.targeted.study import Targeted

__all__ = ["Targeted"]
