"""The section on batch statistics: one row for each way of reading a network."""

from robust_saliency.drawing.formatting import percent, percent_range, short
from robust_saliency.drawing.section import Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import shares
from robust_saliency.results.result import Result


def section(result: Result) -> Section:
  """Tabulates `clean` and `attacked` [model, seed, reading, example]: one table, one sheet."""
  known, words = result.layout.coordinates, result.metadata["readings"]
  under = f"FGSM at ε = {short(result.metadata['epsilon'])}"
  # [model, reading, seed, example]
  of_kinds = [result.arrays[kind].swapaxes(1, 2) for kind in ("clean", "attacked")]
  of_clean, of_attacked = (shares(correct) for correct in of_kinds)
  groups = [
    RowGroup(
      [
        Row(
          words[reading],
          [
            f"{percent(one.value[m, r])} ({percent_range(one.low[m, r], one.high[m, r])})"
            for one in (of_clean, of_attacked)
          ],
        )
        for r, reading in enumerate(known["reading"])
      ],
      heading=model,
    )
    for m, model in enumerate(known["model"])
  ]
  rows = [
    [model, seed, reading, *(float(correct[m, r, s].mean()) for correct in of_kinds)]
    for m, model in enumerate(known["model"])
    for s, seed in enumerate(known["seed"])
    for r, reading in enumerate(known["reading"])
  ]
  return Section(
    title="Training against evaluation: batch statistics",
    reading=(
      "Training normalises clean and attacked images by statistics of their own batch, evaluation "
      "all images by running averages over both kinds. Each network is read here with other "
      "parameters or other statistics, and attacked through what is read unless said otherwise; "
      "where a row is higher than the first, the difference is what the usual reading loses."
    ),
    tables=[
      Table(
        caption=f"Accuracy on test images in per cent; in brackets the {of_clean.interval}.",
        columns=["", "Clean", under],
        groups=groups,
      )
    ],
    sheets=[Sheet("batch_statistics", ["model", "seed", "reading", "clean", "attacked"], rows)],
  )
