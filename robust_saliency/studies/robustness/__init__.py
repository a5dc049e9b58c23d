"""Robust accuracy against epsilon: one curve for each attack and network."""

from robust_saliency.studies.robustness.study import Robustness

__all__ = ["Robustness"]
