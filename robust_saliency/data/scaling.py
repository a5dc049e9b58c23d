"""The same images between other bounds, for papers that count in other pixels."""

import dataclasses

from robust_saliency.core import checks
from robust_saliency.core.types import Bounds
from robust_saliency.data.dataset import Dataset


def rescaled(dataset: Dataset, bounds: Bounds) -> Dataset:
  """The data set with its pixels mapped linearly onto other bounds.

  The stored arrays are shared; only what they mean changes. Whatever is counted in pixels scales
  with them: an epsilon of 8/255 between 0 and 1 is one of 16/255 between -1 and 1.

  Args:
    dataset: any data set.
    bounds: the new (low, high).

  Returns:
    The set in which the old low is the new low, and the old high the new high.

  Raises:
    ValueError: if `bounds` is no interval.

  >>> from robust_saliency.data.digits import digits
  >>> centred = rescaled(digits(), (-1, 1))
  >>> centred.bounds, centred.scale, centred.offset
  ((-1.0, 1.0), 0.125, -1.0)
  """
  checks.pixel_bounds(bounds)
  low, high = map(float, bounds)
  old_low, old_high = dataset.bounds
  factor = (high - low) / (old_high - old_low)
  return dataclasses.replace(
    dataset,
    scale=dataset.scale * factor,
    offset=low + (dataset.offset - old_low) * factor,
    bounds=(low, high),
  )
