"""The section of an accuracy study: how often each network is right on unharmed images."""

from robust_saliency.drawing.formatting import percent, percent_range
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import shares
from robust_saliency.studies.result import StudyResult, array, fact


def section(result: StudyResult, styles: dict[str, Style]) -> Section:
  """Tabulates `correct` [models, seeds, examples].

  Args:
    result: a study of kind "accuracy"; facts `models`, `seeds`, `split`.
    styles: unused, a table needs none.

  Returns:
    A section with one table and one sheet.
  """
  del styles
  models, seeds = fact(result, "models"), fact(result, "seeds")
  correct = array(result, "correct", models=len(models), seeds=len(seeds), examples=None)
  examples = correct.shape[-1]
  split = fact(result, "split")
  accuracy = shares(correct, units=f"{split} images")
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
    title="Accuracy",
    reading=(
      f"The share of the {examples:,} {split} images, left as they are, that each "
      "network classifies correctly; what robustness may cost shows here first."
    ),
    tables=[
      Table(
        caption=f"Accuracy on unharmed images, in per cent; {accuracy.interval}.",
        columns=columns,
        groups=[RowGroup(rows)],
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
