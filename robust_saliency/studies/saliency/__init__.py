"""Saliency maps: what each network looks at, on the same images."""

from robust_saliency.studies.saliency.study import Saliency

__all__ = ["Saliency"]
