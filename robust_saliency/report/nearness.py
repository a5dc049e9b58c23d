"""How near a run is to the paper's own accuracies, as a table for the page's first screen."""

from collections.abc import Sequence

from robust_saliency.drawing.formatting import number
from robust_saliency.drawing.section import Row, RowGroup, Table
from robust_saliency.results.nearness import ALL, APART, MARGINS, Nearness


def nearness_table(near: Sequence[Nearness], dataset: str) -> Table:
  """A row for all numbers of the paper that the run has measured, and one per study.

  Args:
    near: of `results.nearness.nearness`.
    dataset: what the numbers are of.

  >>> near = Nearness("FGSM", 224, 0.1043, -0.049, within=(150, 186), in_order=160, pairs=186)
  >>> nearness_table([near], "mnist").groups[0].rows[0].cells[1:4]
  ['0.104', '−0.049', '150 of 224 (67 %)']
  """

  def share(count: int, of: int) -> str:
    return f"{count:,} of {of:,} ({100 * count / of:.0f} %)" if of else "none"

  return Table(
    caption=(
      f"How near this run is to the accuracies that the paper gives of {dataset}. In the last "
      "column: of pairs of networks, tested on the same images, that the paper has at least "
      f"{APART:g} apart, those in its order."
    ),
    columns=[
      *("Compared with the paper", "numbers", "RMSE", "mean difference"),
      *(f"within {margin:g}" for margin in MARGINS),
      "in the paper’s order",
    ],
    groups=[
      RowGroup(
        [
          Row(
            "All" if one.of == ALL else one.of,
            [
              *(f"{one.cells:,}", number(one.rmse), number(one.bias)),
              *(share(count, one.cells) for count in one.within),
              share(one.in_order, one.pairs),
            ],
          )
          for one in near
        ]
      )
    ],
  )
