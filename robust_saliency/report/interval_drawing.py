"""The small drawing beside a claim: an interval, and the side of the threshold that it needs."""

import dataclasses
import math

from robust_saliency.results import Estimate

# The small drawing of interval and threshold: its width, and the margin where nothing is drawn.
DRAWING_WIDTH, DRAWING_MARGIN = 132.0, 8.0


@dataclasses.dataclass(frozen=True)
class Drawing:
  """Where the parts of a claim's drawing lie, in its own units from the left."""

  low: float
  value: float
  high: float
  thresholds: tuple[float, ...]
  side: float  # where the claim's side of the threshold begins
  side_width: float


def drawing(estimate: Estimate, relation: str, limits: tuple[float, ...]) -> Drawing | None:
  """Puts an interval and its thresholds in proportion, None where one of them is not finite.

  Args:
    estimate: the number and its interval.
    relation: ">=", "<=" or "within".
    limits: one threshold, or the two between which the number should lie.

  >>> drawing(Estimate(0.5, 0.0, 1.0, "", 1), ">=", (0.25,)).thresholds
  (37.0,)
  """
  ends = (estimate.low, estimate.value, estimate.high, *limits)
  if not all(map(math.isfinite, ends)):
    return None
  start, width = min(ends), max(ends) - min(ends)
  room = DRAWING_WIDTH - 2 * DRAWING_MARGIN

  def place(number: float) -> float:
    share = (number - start) / width if width > 0 else 0.5
    return round(DRAWING_MARGIN + room * share, 1)

  thresholds = tuple(map(place, limits))
  left = 0.0 if relation == "<=" else thresholds[0]
  right = DRAWING_WIDTH if relation == ">=" else thresholds[-1]
  low, value, high = map(place, ends[:3])
  return Drawing(low, value, high, thresholds, left, round(right - left, 1))
