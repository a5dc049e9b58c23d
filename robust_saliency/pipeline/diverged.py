"""Studies of networks whose training has diverged: their numbers are NaN, and nobody else's.

A study measures a network before its first step in the place of one that has diverged, so that no
NaN reaches an attack; what it measured there is then struck out, along every axis of networks.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency.results.result import SEED, Result
from robust_saliency.studies.targeted import OUTSIDERS
from robust_saliency.training import TrainedNetwork

# Axes along which networks stand.
OF_NETWORKS = ("model", "source", "target", "rival", "reader", "reference")


def struck_out(result: Result, networks: Mapping[str, Sequence[TrainedNetwork]]) -> Result:
  """The result with NaN wherever a network that has diverged was measured.

  Args:
    result: of a study in which others stood in their places; bools become float64 where needed.
    networks: name -> one per seed of the result, in their order.
  """
  places = [
    (name, s)
    for name, of_seeds in networks.items()
    # Some studies are of the first seed alone.
    for s, one in enumerate(of_seeds[: len(result.layout.coordinates.get(SEED, of_seeds))])
    if one.diverged
  ]
  if not places:
    return result
  arrays = {}
  for name, axes in result.layout.axes.items():
    values = result.arrays[name]
    along = [axis for axis in axes if axis in OF_NETWORKS and _are(axis, networks, result)]
    arrays[name] = values.astype(np.float64) if along else values
    for axis in along:
      for model, s in places:
        known = result.layout.coordinates[axis]
        if model in known:
          # Arrays without an axis of seeds are of the first one.
          at = {axis: known.index(model), SEED: s}
          if SEED in axes or s == 0:
            index = tuple(at.get(one, slice(None)) for one in axes)
            arrays[name][index] = np.nan
  reasons = {
    name: {str(one.seed): one.diverged for one in of_seeds if one.diverged}
    for name, of_seeds in networks.items()
  }
  metadata = {**result.metadata, "diverged": {name: of for name, of in reasons.items() if of}}
  return dataclasses.replace(result, arrays={**result.arrays, **arrays}, metadata=metadata)


def _are(axis: str, networks: Mapping[str, Any], result: Result) -> bool:
  """Whether networks stand along an axis; the targets of a gradient, say, are classes."""
  known = result.layout.coordinates.get(axis)
  return known is not None and set(known) - set(OUTSIDERS) <= set(networks)
