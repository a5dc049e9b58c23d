"""Targeted attacks: what images become on their way to every other class, and who reads it."""

from robust_saliency.studies.targeted.study import Targeted

__all__ = ["Targeted"]
