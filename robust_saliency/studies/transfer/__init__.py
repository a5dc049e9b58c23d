"""Transfer: adversarial examples crafted on one network, evaluated on every other."""

from robust_saliency.studies.transfer.study import Overlap, Transfer

__all__ = ["Overlap", "Transfer"]
