"""Targeted attacks: each class to every other, and who reads the examples as their targets."""

from robust_saliency.studies.targeted.outsiders import OUTSIDERS
from robust_saliency.studies.targeted.study import Targeted

__all__ = ["OUTSIDERS", "Targeted"]
