"""The section of a response: a table per family, in the order of its number."""

import numpy as np

from robust_saliency.drawing.formatting import number, percent, percent_range, short
from robust_saliency.drawing.section import Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import shares
from robust_saliency.results.result import Result


def section(result: Result) -> Section:
  """Sets `clean`, `attacked` and `mean_square` beside each network's number.

  Args:
    result: of a response; metadata `candidates`, `source`, `attack` and `epsilon`.

  Returns:
    A section with one table and one sheet.
  """
  said, coordinates = result.metadata, result.layout.coordinates
  models, seeds, targets = (coordinates[axis] for axis in ("model", "seed", "target"))
  clean, attacked, squares = (result.arrays[one] for one in ("clean", "attacked", "mean_square"))
  accuracies = [shares(values) for values in (clean, attacked)]
  under = f"{said['attack']['label']} at ε = {short(said['epsilon'])}"
  groups, rows = [], []
  for f, (family, ours) in enumerate(said["candidates"].items()):
    order = sorted(ours, key=ours.__getitem__)
    of_family = []
    for name in order:
      m = models.index(name)
      of_family.append(
        Row(
          f"λ = {short(ours[name])}",
          [
            name,
            *(
              f"{percent(one.value[m])} ({percent_range(one.low[m], one.high[m])})"
              for one in accuracies
            ),
            *(number(float(of_target[m].mean())) for of_target in squares),
          ],
        )
      )
      for s, seed in enumerate(seeds):
        measured = clean[m, s].mean(), attacked[m, s].mean(), *squares[:, m, s]
        rows.append([family, name, ours[name], seed, *map(float, measured)])
    groups.append(RowGroup(of_family, heading=f"{family}{_in_words(result, f)}"))
  norms = [f"mean ‖∇H({target}, f(x))‖²" for target in targets]
  return Section(
    title="Response to lambda",
    reading=(
      f"Accuracy on {clean.shape[-1]:,} test images, clean and on images crafted by {under} on "
      f"another network ({said['source']}), and mean squared norms of input gradients, as the "
      "penalty grows. A penalty that is too large leaves a network that knows little and is as "
      "accurate under attack as it is clean."
    ),
    tables=[
      Table(
        caption=f"Accuracy in per cent, in brackets the {accuracies[0].interval}; mean squares.",
        columns=["", "Network", "Clean", under, *norms],
        groups=groups,
        folded=True,
      )
    ],
    sheets=[
      Sheet(
        "response",
        ["family", "model", "number", "seed", "clean", "attacked", *targets],
        rows,
      )
    ],
  )


def _in_words(result: Result, family: int) -> str:
  """Plateau and collapse of a family, where all its seeds have one."""
  plateau, collapse = (float(result.arrays[one][family].mean()) for one in ("plateau", "collapse"))
  words = []
  if np.isfinite(plateau):
    words.append(f"a plateau of {number(plateau)} decades")
  if np.isfinite(collapse):
    words.append(f"over-regularised from λ = {short(10**collapse)} on")
  return f": {', '.join(words)}" if words else ""
