"""Networks compared where they have the same gradient norm, or the same clean accuracy."""

from robust_saliency.studies.matched.study import Matched

__all__ = ["Matched"]
