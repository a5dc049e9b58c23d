"""The section of an evaluation: the worst case over strong attacks, and what looks wrong."""

import numpy as np

from robust_saliency.drawing.formatting import norm, percent, percent_range, short
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Row, RowGroup, Section, Sheet, Table
from robust_saliency.results import shares
from robust_saliency.studies.result import StudyResult, array, fact


def section(result: StudyResult, styles: dict[str, Style]) -> Section:
  """Tabulates `correct` [models, seeds, examples] and `robust` [attacks, models, seeds, examples].

  Args:
    result: a study of kind "evaluation"; facts `models`, `seeds`, `attacks` (each with `name` and
      `label`), `epsilon`, `norm`, `warnings` (model -> name -> sentences).
    styles: unused, tables need none.

  Returns:
    A section with a table of accuracies, one of warnings, and a sheet.
  """
  del styles
  models, seeds, attacks = (fact(result, name) for name in ("models", "seeds", "attacks"))
  correct = array(result, "correct", models=len(models), seeds=len(seeds), examples=None)
  robust = array(
    result,
    "robust",
    attacks=len(attacks),
    models=len(models),
    seeds=len(seeds),
    examples=correct.shape[-1],
  )
  examples = correct.shape[-1]
  worst = np.minimum.reduce([correct, *robust])
  columns = {
    "unharmed": correct,
    **{attack["label"]: robust[a] for a, attack in enumerate(attacks)},
    "worst case": worst,
  }
  accuracies = {name: shares(values) for name, values in columns.items()}
  worst_case = accuracies["worst case"]
  ball = f"ε = {short(fact(result, 'epsilon'))}, {norm(fact(result, 'norm'))}"
  warnings = fact(result, "warnings")
  return Section(
    title="Careful evaluation",
    reading=(
      f"Accuracy on {examples:,} images under attacks that choose their own step sizes and follow "
      f"several losses, or none ({ball}). An image counts as robust where all of them fail. What "
      "stands under a weak attack and falls here was gradient masking, not robustness."
    ),
    tables=[
      Table(
        caption=(f"Accuracy in per cent; in brackets the {worst_case.interval} of the worst case."),
        columns=["Network", *columns],
        groups=[
          RowGroup(
            [
              Row(
                model,
                [
                  *(percent(accuracies[name].value[m]) for name in list(columns)[:-1]),
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
              for name, sentences in warnings.get(model, {}).items()
              for sentence in sentences
            ]
            or [Row("none", ["no sign of masked gradients or of a failing attack"])],
            heading=model,
          )
          for model in models
        ],
      ),
    ],
    sheets=[
      Sheet(
        "evaluation",
        ["attack", "model", "seed", "accuracy", "examples"],
        [
          [name, model, seed, float(values[m, s].mean()), examples]
          for name, values in columns.items()
          for m, model in enumerate(models)
          for s, seed in enumerate(seeds)
        ],
      )
    ],
  )
