"""Manifold: how far adversarial images lie from a manifold of natural ones."""

from robust_saliency.studies.manifold.study import Manifold

__all__ = ["Manifold"]
