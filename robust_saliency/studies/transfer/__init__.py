"""Transfer: adversarial examples made with one network, classified by every other."""

from robust_saliency.studies.transfer.study import Overlap, Transfer

__all__ = ["Overlap", "Transfer"]
