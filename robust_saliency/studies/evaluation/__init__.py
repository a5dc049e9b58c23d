"""Robustness evaluation: the worst case over several attacks, and the signs of masked gradients."""

from robust_saliency.studies.evaluation.study import Evaluation

__all__ = ["Evaluation"]
