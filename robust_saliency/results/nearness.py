"""How near a run is to the paper's own accuracies, in a few numbers."""

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from robust_saliency.results.published import Place, Published
from robust_saliency.results.result import Result

# Networks whose numbers are nearer to each other than this are in no order.
APART = 0.05
MARGINS = (0.05, 0.1)
ALL = "all"


class Nearness(NamedTuple):
  """How near a run is to the paper's own numbers.

  Attributes:
    of: the study that has measured them, or `ALL`.
    cells: how many accuracies of the paper the run has measured.
    rmse: the root of the mean squared difference.
    bias: the mean difference, ours minus the paper's.
    within: how many differ by no more than each of `MARGINS`.
    in_order: how many pairs of networks are in the paper's order.
    pairs: of so many, which the paper has at least `APART` from each other.
  """

  of: str
  cells: int
  rmse: float
  bias: float
  within: tuple[int, ...]
  in_order: int
  pairs: int


def nearness(
  published: Published, results: Mapping[str, Result], *, array: str = "correct"
) -> list[Nearness]:
  r"""How near the accuracies of a run are to the paper's: those of all studies, then of each.

  Pairs are networks that were tested on the same images.

  Args:
    published: the paper's numbers of this data set.
    results: the studies' results by name.
    array: which arrays are compared, those of booleans.

  Returns:
    Nothing where they have none in common, only the first where one study has them all.

  >>> from robust_saliency.results.published import COLUMNS, read_published
  >>> from robust_saliency.results.result import Layout
  >>> layout = Layout({"correct": ("model", "seed", "example")}, {"model": ("a", "b")})
  >>> clean = Result("clean", "accuracy", layout, {"correct": np.array([[[1, 1]], [[0, 1]]])})
  >>> table = ",".join(COLUMNS) + "\nd,clean,correct,model=a,0.9,,\nd,clean,correct,model=b,0.6,,"
  >>> [near] = nearness(read_published(table, dataset="d"), {"clean": clean})
  >>> near.cells, near.rmse, near.within, near.in_order, near.pairs
  (2, 0.1, (0, 2), 1, 1)
  """
  cells = list(published.measured(results, array))
  studies = list(dict.fromkeys(study for (study, _, _), _, _ in cells))
  of_each = [_near(name, (cell for cell in cells if cell[0][0] == name)) for name in studies]
  if len(studies) < 2:
    return of_each
  return [_near(ALL, cells), *of_each]


def _near(name: str, cells: Iterable[tuple[Place, float, float]]) -> Nearness:
  cells = list(cells)
  differences = np.array([ours - theirs for _, ours, theirs in cells])
  signs = [
    (ours - other_ours) * (theirs - other_theirs) > 0
    for (place, ours, theirs), (other, other_ours, other_theirs) in itertools.combinations(cells, 2)
    if abs(theirs - other_theirs) >= APART - 1e-9 and _tested_alike(place, other)
  ]
  return Nearness(
    of=name,
    cells=len(cells),
    rmse=float(np.sqrt((differences**2).mean())),
    bias=float(differences.mean()),
    within=tuple(int((np.abs(differences) <= margin + 1e-9).sum()) for margin in MARGINS),
    in_order=sum(signs),
    pairs=len(signs),
  )


def _tested_alike(place: Place, other: Place) -> bool:
  """Whether two places differ in the network that is tested, and in nothing else."""
  study, array, coordinates = place
  if (study, array) != other[:2]:
    return False
  different = {axis for axis, _ in {*coordinates} ^ {*other[2]}}
  return different in ({"target"}, {"model"})
