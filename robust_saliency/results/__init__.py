"""What results say, and how sure: one interval for one number, in claims, tables and curves.

`statistics` says how, and has a function per kind of share (one, a difference, a ratio), `means`
one per kind of other number; each gives an `Estimate`, which `verdicts` turns into words. Behind
them `score_intervals` holds those of shares, `uncertainty` the variance over networks and images.
"""

from robust_saliency.results.estimate import (
  CONFIDENCE,
  FEW_NETWORKS,
  Estimate,
  Estimates,
  what_over,
)
from robust_saliency.results.means import (
  beside_references,
  mean,
  median_difference,
  of_networks,
  rate,
  rate_difference,
)
from robust_saliency.results.score_intervals import critical_value
from robust_saliency.results.statistics import (
  halves,
  share,
  share_difference,
  share_ratio,
  share_within,
  share_within_difference,
  shares,
)
from robust_saliency.results.uncertainty import half_width
from robust_saliency.results.verdicts import (
  EQUIVALENCE_CONFIDENCE,
  RELATIONS,
  judge,
  judge_equivalence,
)

__all__ = [
  "CONFIDENCE",
  "EQUIVALENCE_CONFIDENCE",
  "FEW_NETWORKS",
  "RELATIONS",
  "Estimate",
  "Estimates",
  "beside_references",
  "critical_value",
  "half_width",
  "halves",
  "judge",
  "judge_equivalence",
  "mean",
  "median_difference",
  "of_networks",
  "rate",
  "rate_difference",
  "share",
  "share_difference",
  "share_ratio",
  "share_within",
  "share_within_difference",
  "shares",
  "what_over",
]
