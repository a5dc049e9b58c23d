"""Response: what a growing hyper-parameter does to accuracy, robustness and gradients."""

from robust_saliency.studies.response.study import Response

__all__ = ["Response"]
