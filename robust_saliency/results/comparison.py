"""The same quantities of several runs, side by side, and how far they lie apart.

A quantity is what a study has measured of each network by itself: an array with an axis of networks
("model" or "family"), one of seeds and perhaps one of images, at one coordinate of each of its
other axes (an attack, an epsilon). Whatever is an image, a class or a pair of networks is none.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency.results import means, statistics
from robust_saliency.results.estimate import CONFIDENCE, TEST_IMAGES, Estimate, no_number, what_over
from robust_saliency.results.independent import independent_difference
from robust_saliency.results.result import EXAMPLE, SEED, Layout, Result
from robust_saliency.results.uncertainty import differences

OF_NETWORKS = ("model", "family")
# What stands along these is a part of one number, not another measurement.
_PARTS = ("class", "coordinate")
_SHARES = ("share", "rate", "difference")

At = tuple[tuple[str, Any], ...]  # (axis, coordinate) of each


@dataclasses.dataclass(frozen=True)
class Run:
  """What one run has measured.

  Attributes:
    results: its studies' results by name.
    images: what its data set is, to be compared with another run's.
  """

  results: Mapping[str, Result]
  images: Any = None


@dataclasses.dataclass(frozen=True)
class Quantity:
  """What was measured of each network.

  Attributes:
    study: what the config calls the study.
    array: one of its arrays.
    at: where on the array's other axes.
    is_share: whether it is a share or a difference of shares, which people read in per cent.
  """

  study: str
  array: str
  at: At
  is_share: bool


@dataclasses.dataclass(frozen=True)
class Compared:
  """One quantity of one network in all runs.

  Attributes:
    quantity: what.
    network: whose.
    values: one per run; None where a run has no such network or quantity.
    differences: how much larger it is than in the first run, one per run; None for the first, and
      where one of the two is missing.
    paired: whether each difference is one of equal seeds and images.
  """

  quantity: Quantity
  network: str
  values: tuple[Estimate | None, ...]
  differences: tuple[Estimate | None, ...]
  paired: tuple[bool, ...]


def compare(runs: Sequence[Run], studies: Sequence[str] = ()) -> list[Compared]:
  """All quantities of several runs, network by network, as the first runs that have them list them.

  A difference is paired by seed and image where both runs have the same of both; otherwise it is
  `independent_difference`.

  Args:
    runs: two at least; differences are from the first.
    studies: the names of the studies to look at; none for all.

  >>> layout = Layout({"correct": ("model", "seed", "example")}, {"model": ("cnn",), "seed": (0,)})
  >>> def run(right):
  ...   correct = (np.arange(100) < right)[None, None]
  ...   return Run({"clean": Result("clean", "accuracy", layout, {"correct": correct})})
  >>> [one] = compare([run(90), run(80)])
  >>> one.network, [round(end, 2) for end in one.differences[1][:3]], one.paired
  ('cnn', [-0.1, -0.17, -0.06], (False, True))
  """
  found: dict[tuple[str, str, At], dict[str, list[_Cell | None]]] = {}
  for position, run in enumerate(runs):
    for name, result in run.results.items():
      if studies and name not in studies:
        continue
      for array, at, network, cell in _cells(result, run.images):
        of_quantity = found.setdefault((name, array, at), {})
        of_quantity.setdefault(network, [None] * len(runs))[position] = cell
  compared = []
  for place, networks in found.items():
    kinds = {cell.kind for cells in networks.values() for cell in cells if cell is not None}
    quantity = Quantity(*place, is_share=kinds <= {*_SHARES})
    compared += [_compared(quantity, network, cells) for network, cells in networks.items()]
  return compared


@dataclasses.dataclass(frozen=True)
class _Cell:
  """What one run has measured of one network: [S], or [S, N]; and what a pair must share."""

  values: np.ndarray
  kind: str
  images_each: int
  units: str
  images: Any
  seeds: tuple[Any, ...]

  def value(self) -> Estimate:
    """The number, and its interval."""
    over: Any = {"units": self.units}
    if self.kind == "networks":
      return means.of_networks(self.values)
    if self.kind in _SHARES and not np.isfinite(self.values).all():
      networks, images = self.values.shape
      said = f"{what_over(networks, images, self.units)}; not all measured"
      return no_number(said, networks, CONFIDENCE)
    if self.kind == "difference":
      return statistics.share_difference(self.values, 0 * self.values, **over)
    if self.kind == "rate":
      return means.rate(self.values, images_each=self.images_each, **over)
    if self.kind == "share":
      return statistics.share(self.values, **over)
    return means.mean(self.values, **over)

  def minus(self, other: "_Cell") -> Estimate:
    """How much larger it is than another that it pairs with."""
    over: Any = {"units": self.units}
    if self.kind == "networks":
      return means.of_networks(self.values - other.values)
    if self.kind == "rate":
      return means.rate_difference(self.values, other.values, images_each=self.images_each, **over)
    if self.kind == "share":
      return statistics.share_difference(self.values, other.values, **over)
    return means.mean(differences(self.values, other.values), **over)

  def pairs_with(self, other: "_Cell") -> bool:
    """Whether it is of the same seeds and images, and all of both was measured."""
    ours, theirs = (
      (one.kind, one.values.shape, one.images_each, one.units, one.images, one.seeds)
      for one in (self, other)
    )
    whole = all(np.isfinite(one.values).all() for one in (self, other))
    return ours == theirs and (whole or self.kind not in _SHARES)


def _compared(quantity: Quantity, network: str, cells: Sequence[_Cell | None]) -> Compared:
  values = tuple(None if cell is None else cell.value() for cell in cells)
  first = cells[0]
  differences: list[Estimate | None] = [None]
  paired = [False]
  for cell in cells[1:]:
    if cell is None or first is None:
      differences.append(None)
      paired.append(False)
      continue
    paired.append(cell.pairs_with(first))
    differences.append(
      cell.minus(first) if paired[-1] else independent_difference(cell.value(), first.value())
    )
  return Compared(quantity, network, values, tuple(differences), tuple(paired))


def _cells(result: Result, images: Any) -> Iterator[tuple[str, At, str, _Cell]]:
  """(array, at, network, cell) of all that a result says of single networks."""
  layout = result.layout
  for array, axes in layout.axes.items():
    of_network = [axis for axis in axes if axis in OF_NETWORKS]
    others = [axis for axis in axes if axis not in (*of_network, SEED, EXAMPLE)]
    if len(of_network) != 1 or {*others, SEED} - {*layout.coordinates} or {*others} & {*_PARTS}:
      continue
    kind = _kind(layout, array, result.arrays[array])
    for place in itertools.product(*(layout.coordinates[axis] for axis in (*others, *of_network))):
      at = dict(zip((*others, *of_network), place, strict=True))
      if layout.free_axes(array, at) not in ((SEED,), (SEED, EXAMPLE)):
        break
      cell = _Cell(
        np.asarray(result.at(array, **at), np.float64),
        kind,
        layout.images_each.get(array, 1),
        layout.units.get(array, TEST_IMAGES),
        images,
        layout.coordinates[SEED],
      )
      yield array, tuple((axis, at[axis]) for axis in others), at[of_network[0]], cell


def _kind(layout: Layout, array: str, values: np.ndarray) -> str:
  """What an array's numbers are, which says how they are averaged."""
  if EXAMPLE not in layout.axes[array]:
    return "networks"
  if array in layout.differences:
    return "difference"
  if layout.images_each.get(array, 1) > 1:
    return "rate"
  # Those of a network that has diverged are NaN, which no bool can be.
  measured = values[np.isfinite(values)]
  return "share" if np.isin(measured, (0, 1)).all() else "mean"
