"""Class explanations: for each class, and for all together, which features matter to a network."""

from robust_saliency.studies.class_maps.study import ClassMaps

__all__ = ["ClassMaps"]
