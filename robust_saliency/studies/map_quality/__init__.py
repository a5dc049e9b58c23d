"""Statistics of saliency maps: how rough, how sparse and how like the image they are."""

from robust_saliency.studies.map_quality.study import MapQuality

__all__ = ["MapQuality"]
