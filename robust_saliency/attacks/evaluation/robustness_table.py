"""An evaluation as a row of a public table of robustness."""

import math
from typing import Any

from robust_saliency.attacks.evaluation.evaluate_attacks import COLUMNS, Evaluation

# As its authors run it: all settings at their defaults.
STANDARD = "autoattack"
_THREATS = {"linf": "Linf", "l2": "L2", "l1": "L1"}
# What only those know who publish the network.
_TO_FILL_IN = ("link", "name", "authors", "venue")
_PIXEL_VALUES = 255


def robustness_row(
  evaluation: Evaluation,
  *,
  dataset: str,
  architecture: str,
  norm: str,
  epsilon: float,
) -> dict[str, Any]:
  """What a table of robust models tells of one, in the layout that RobustBench's model_info has.

  Its fields are text, accuracies in per cent: `dataset`, `architecture`, `eps`, `clean_acc`, and of
  standard AutoAttack `autoattack_acc`, which is missing where another version or other settings of
  it were run; `external` is the accuracy under the worst case of all attacks, where that is lower.
  `link`, `name`, `authors` and `venue` are yours to fill in. Beside that layout there are
  `threat_model`, the folder in which the file would lie, `robust_acc`, the worst case, `examples`,
  `attacks`, each by the name and settings that it was given with what it left and cost, and
  `warnings`.

  Args:
    evaluation: what `evaluate_attacks` found; standard AutoAttack by the name "autoattack".
    dataset: its name.
    architecture: the network's ("WideResNet-28-10").
    norm: of the ball.
    epsilon: its radius.

  Returns:
    Field -> value, JSON-serialisable.

  Source: Croce et al. 2021, "RobustBench: a standardized adversarial robustness benchmark",
  appendix on the model zoo.
  """
  rows = [dict(zip(COLUMNS, row, strict=True)) for row in evaluation.table]
  accuracies = {row["attack"]: row["accuracy"] for row in rows}
  worst = accuracies["worst case"]
  standard = accuracies.get(STANDARD)
  row = {
    **dict.fromkeys(_TO_FILL_IN, ""),
    "additional_data": False,
    "number_forward_passes": 1,
    "dataset": dataset,
    "architecture": architecture,
    "eps": radius(epsilon),
    "clean_acc": _percent(accuracies["none"]),
  }
  if standard is not None:
    row["autoattack_acc"] = _percent(standard)
    if worst < standard:
      row["external"] = _percent(worst)
  return row | {
    "threat_model": _THREATS.get(norm, norm),
    "robust_acc": _percent(worst),
    "examples": len(evaluation.correct),
    "attacks": [{**one, "accuracy": _percent(one["accuracy"])} for one in rows[1:-1]],
    "warnings": evaluation.warnings,
  }


def radius(epsilon: float) -> str:
  """A radius as tables print it.

  >>> radius(8 / 255), radius(0.5), radius(0.031)
  ('8/255', '0.5', '0.031')
  """
  steps = epsilon * _PIXEL_VALUES
  if steps >= 1 and math.isclose(steps, round(steps), rel_tol=1e-5) and epsilon < 0.2:
    return f"{round(steps)}/{_PIXEL_VALUES}"
  return f"{epsilon:g}"


def _percent(share: float) -> str:
  """A share in per cent, with as many decimals as 10,000 images have."""
  return f"{100 * share:.2f}".rstrip("0").rstrip(".")
