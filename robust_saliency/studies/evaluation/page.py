"""The section of an evaluation: the worst case over strong attacks, and what looks wrong."""

import numpy as np

from robust_saliency.drawing.formatting import norm, percent, percent_range, short
from robust_saliency.drawing.section import Headline, Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import shares
from robust_saliency.results.result import Result


def section(result: Result) -> Section:
  """Tabulates `correct` [model, seed, example] and `robust` [attack, model, seed, example].

  Args:
    result: of an evaluation; metadata `attacks` (each with `name` and `label`), `epsilon`, `norm`,
      `warnings` (model -> name -> sentences).

  Returns:
    A section with a table of accuracies, one of warnings, and a sheet.
  """
  coordinates, metadata = result.layout.coordinates, result.metadata
  models, seeds, attacks = coordinates["model"], coordinates["seed"], metadata["attacks"]
  correct, robust = result.arrays["correct"], result.arrays["robust"]
  examples = correct.shape[-1]
  names = ["none", *(attack["name"] for attack in attacks), "worst case"]
  labels = ["clean", *(attack["label"] for attack in attacks), "worst case"]
  columns = [correct, *robust, np.minimum.reduce([correct, *robust])]
  *accuracies, worst_case = (shares(values) for values in columns)
  ball = f"ε = {short(metadata['epsilon'])}, {norm(metadata['norm'])}"
  return Section(
    title="Robustness evaluation: worst case over all attacks",
    reading=(
      f"Accuracy on {examples:,} images under attacks that choose their own step sizes and follow "
      f"several losses, or none ({ball}). An image counts as robust where all of them fail. "
      "Accuracy under a weak attack that is lost here was gradient masking, not robustness."
    ),
    tables=[
      Table(
        caption=f"Accuracy in per cent; in brackets the {worst_case.interval} of the worst case.",
        columns=["Network", *labels],
        groups=[
          RowGroup(
            [
              Row(
                model,
                [
                  *(percent(one.value[m]) for one in accuracies),
                  f"{percent(worst_case.value[m])} "
                  f"({percent_range(worst_case.low[m], worst_case.high[m])})",
                ],
              )
              for m, model in enumerate(models)
            ]
          )
        ],
      ),
      Table(
        caption="What looked wrong while the first seed was attacked.",
        prose=True,
        columns=["Sign", "What was seen"],
        groups=[
          RowGroup(
            [
              Row(name.replace("_", " "), [sentence])
              for name, sentences in metadata["warnings"].get(model, {}).items()
              for sentence in sentences
            ]
            or [Row("none", ["no sign of masked gradients or of a failing attack"])],
            heading=model,
          )
          for model in models
        ],
      ),
    ],
    headlines=[
      Headline(
        f"{_worst_of(labels[1:-1])} at {ball}, %",
        {model: percent(worst_case.value[m]) for m, model in enumerate(models)},
      )
    ],
    sheets=[
      Sheet(
        "evaluation",
        ["attack", "model", "seed", "accuracy", "examples"],
        [
          [name, model, seed, float(values[m, s].mean()), examples]
          for name, values in zip(names, columns, strict=True)
          for m, model in enumerate(models)
          for s, seed in enumerate(seeds)
        ],
      )
    ],
  )


def _worst_of(labels: list[str]) -> str:
  return f"Accuracy under {labels[0]}" if len(labels) == 1 else "Accuracy under the worst attack"
