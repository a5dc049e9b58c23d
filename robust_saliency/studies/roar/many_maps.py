"""ROAR and KAR of one network by many maps: a line, and a row of accuracies, for each map."""

import numpy as np

from robust_saliency.drawing.formatting import percent, percent_range
from robust_saliency.drawing.palette import model_styles
from robust_saliency.drawing.section import Picture, Row, RowGroup, Table
from robust_saliency.results import of_networks
from robust_saliency.results.result import Result
from robust_saliency.studies.roar.curves_picture import curves_picture


def picture(result: Result, p: int) -> Picture:
  """The curves of all maps of the only network under one protocol, means over seeds."""
  known, labels = result.layout.coordinates, result.metadata["labels"]
  protocol, shown = known["protocol"][p], [labels[name] for name in known["map"]]
  if len(set(shown)) < len(shown):
    shown = [f"{labels[name]} ({name})" for name in known["map"]]
  means = result.arrays["accuracy"][p, :, 0].mean(axis=1)
  return curves_picture(
    result,
    p,
    dict(zip(shown, means, strict=True)),
    model_styles(shown),
    name=f"{protocol} all maps",
    title=f"{protocol}: all maps",
    caption=f"{protocol} by each map: mean accuracy after retraining, over networks.",
  )


def accuracies(result: Result) -> Table:
  """The accuracy by each map and fraction, with the interval over networks."""
  known, arrays, labels = result.layout.coordinates, result.arrays, result.metadata["labels"]
  return Table(
    caption=(
      "Accuracy after retraining in per cent, in brackets the 95 % interval over the explained "
      "networks."
    ),
    columns=["Pixels ranked by", *(f"{percent(one)} % removed" for one in known["fraction"])],
    groups=[
      RowGroup(
        [
          Row(labels[name], [_in_per_cent(of) for of in arrays["accuracy"][p, m, 0].T])
          for m, name in enumerate(known["map"])
        ],
        heading=protocol,
      )
      for p, protocol in enumerate(known["protocol"])
    ],
  )


def _in_per_cent(of_seeds: np.ndarray) -> str:
  estimate = of_networks(of_seeds)
  if not np.isfinite(estimate.low):
    return percent(estimate.value)
  return f"{percent(estimate.value)} ({percent_range(estimate.low, estimate.high)})"
