"""How far networks' input gradients point where the maps of other networks do."""

from robust_saliency.studies.map_agreement.study import MapAgreement

__all__ = ["MapAgreement"]
