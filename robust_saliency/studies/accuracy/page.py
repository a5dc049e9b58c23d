"""The section on clean accuracy: what robustness may cost."""

from robust_saliency.drawing.formatting import percent, percent_range
from robust_saliency.drawing.section import Headline, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import shares
from robust_saliency.results.result import Result


def section(result: Result) -> Section:
  """Tabulates `correct` [model, seed, example]: one table and one sheet."""
  models, seeds = result.layout.coordinates["model"], result.layout.coordinates["seed"]
  correct = result.arrays["correct"]
  examples = correct.shape[-1]
  accuracy = shares(correct)
  per_seed = correct.mean(axis=-1)

  rows = []
  for m, model in enumerate(models):
    cells = [percent(accuracy.value[m]), percent_range(accuracy.low[m], accuracy.high[m])]
    if len(seeds) > 1:
      cells.append(percent_range(per_seed[m].min(), per_seed[m].max()))
    rows.append(Row(model, cells))
  columns = ["Network", "Accuracy, %", "95 % interval"]
  if len(seeds) > 1:
    columns.append("Worst to best seed")
  return Section(
    title="Clean accuracy",
    reading=(
      f"The share of the {examples:,} test images, unperturbed, that each network classifies "
      "correctly; what robustness may cost shows here first."
    ),
    tables=[
      Table(
        caption=f"Clean accuracy, in per cent; {accuracy.interval}.",
        columns=columns,
        groups=[RowGroup(rows)],
      )
    ],
    headlines=[
      Headline(
        "Clean accuracy, %", {model: percent(accuracy.value[m]) for m, model in enumerate(models)}
      )
    ],
    sheets=[
      Sheet(
        "accuracy",
        ["model", "seed", "accuracy", "examples"],
        [
          [model, seed, float(per_seed[m, s]), examples]
          for m, model in enumerate(models)
          for s, seed in enumerate(seeds)
        ],
      )
    ],
  )
