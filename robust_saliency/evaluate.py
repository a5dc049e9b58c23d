"""Measures how robust an experiment's networks are, by any attacks, and says what looks wrong.

  python -m robust_saliency evaluate --workdir=RUN --attacks=pgd --epsilon=0.1

prints for each network the accuracy under each attack, what it cost, the worst case over all of
them, and the warnings of a careful evaluator; and writes

  MODEL.csv, MODEL.json  the table; with the warnings and all settings
  MODEL.npz              what each example is robust to, and adversarial images
  batches/               finished batches: the same command resumes from them

each with its SHA-256 beside it. An attack's settings follow its name: pgd:steps=100:restarts=5. Of
a network with several seeds the first is looked at.
"""

import robust_saliency.startup  # isort: skip  # noqa: F401
from collections.abc import Collection
from pathlib import Path

from absl import flags

from robust_saliency import command_line

WORKDIR = command_line.shared("workdir")
ATTACKS = flags.DEFINE_string("attacks", "autoattack", "what attacks, with their settings")
EPSILON = flags.DEFINE_float("epsilon", None, "radius of the ball, in pixel units; required")
NORM = flags.DEFINE_string("norm", "linf", "linf, l2 or l1")
MODELS = command_line.shared("models")
EXAMPLES = command_line.shared("examples")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 250, "the most examples per call, over all devices")
TABLE = flags.DEFINE_bool(
  "robustness_table", False, "write robustness_table/MODEL.json, rows in RobustBench's layout"
)
OUT = command_line.shared("out")
DATA_DIR = command_line.shared("data_dir")


def _missing() -> str | None:
  if not WORKDIR.value:
    return "give --workdir=DIRECTORY of an experiment, e.g. runs/digits"
  if EPSILON.value is None:
    return "give --epsilon=RADIUS of the ball, in pixel units, e.g. 0.1"
  return None


def main(argv: list[str]) -> None:
  """The command; its arguments come as flags."""
  del argv
  assert EPSILON.value is not None  # `missing` has asked for it
  command_line.use_all_cores()
  from robust_saliency.pipeline import evaluations, named_methods  # takes seconds

  imports = command_line.imported()
  found = evaluations.evaluate_experiment(
    Path(WORKDIR.value),
    named_methods.split(ATTACKS.value),
    evaluations.Threat(
      EPSILON.value,
      NORM.value,
      evaluations.EXAMPLES if EXAMPLES.value is None else EXAMPLES.value,
    ),
    models=MODELS.value,
    batch_size=BATCH_SIZE.value,
    out=Path(OUT.value) if OUT.value else None,
    data_dir=DATA_DIR.value,
    imports=imports,
    robustness_table=TABLE.value,
  )
  print("\n\n".join(evaluations.show(model, one) for model, one in found.items()))
  if not OUT.value:
    command_line.say_how_to_show(WORKDIR.value)


def _names() -> dict[str, Collection[str]]:
  from robust_saliency.attacks.evaluation.autoattack import ENSEMBLES
  from robust_saliency.attacks.registry import ATTACKS as REGISTERED

  return {"Attacks": (*ENSEMBLES, *REGISTERED)}


COMMAND = command_line.Command(
  main,
  __doc__,
  (
    WORKDIR,
    ATTACKS,
    EPSILON,
    NORM,
    MODELS,
    EXAMPLES,
    BATCH_SIZE,
    TABLE,
    OUT,
    DATA_DIR,
    command_line.shared("import"),
    command_line.shared("debug"),
  ),
  names=_names,
  missing=_missing,
  defaults={
    "examples": "1000",
    "out": "one below WORKDIR/evaluations, by the attacks and the ball",
  },
)

if __name__ == "__main__":
  command_line.run(COMMAND)
