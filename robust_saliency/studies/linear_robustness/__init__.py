"""How far a linear model of a network explains how far its adversarial images lie."""

from robust_saliency.studies.linear_robustness.study import LinearRobustness

__all__ = ["LinearRobustness"]
