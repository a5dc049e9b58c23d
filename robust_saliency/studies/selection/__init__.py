"""Choosing a hyper-parameter on the validation split: the most robust that stays accurate."""

from robust_saliency.studies.selection.study import Selection, chosen_by

__all__ = ["Selection", "chosen_by"]
