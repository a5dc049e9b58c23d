"""Faithfulness: whether a map says what the network does, measured without knowing the right map.

curves         deletion and insertion: how the score falls, and rises, as the map's pixels go
infidelity     how well the map tells what a small change of the image does to the score
sensitivity    how much the map changes where the image hardly does
removal        which pixels a map calls important, for ROAR and KAR (`studies.roar`)
randomization  whether the map notices that the network's parameters were drawn anew

All are of one network and its images, one number (or curve) per example, which depends on that
example alone.
"""

from robust_saliency.attributions.faithfulness.curves import (
  area_under_curve,
  deletion_curve,
  insertion_curve,
)
from robust_saliency.attributions.faithfulness.infidelity import infidelity
from robust_saliency.attributions.faithfulness.randomization import (
  parameter_randomization,
  rank_correlation,
)
from robust_saliency.attributions.faithfulness.removal import important_pixels
from robust_saliency.attributions.faithfulness.sensitivity import sensitivity_max

__all__ = [
  "area_under_curve",
  "deletion_curve",
  "important_pixels",
  "infidelity",
  "insertion_curve",
  "parameter_randomization",
  "rank_correlation",
  "sensitivity_max",
]
