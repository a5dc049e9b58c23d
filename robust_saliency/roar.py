"""Measures what explanations of a finished experiment's networks are worth: ROAR and KAR.

  python -m robust_saliency roar --workdir=RUN --methods=gradient,smoothgrad

removes from all images the pixels that a method calls the most important (ROAR), or all others
(KAR), trains networks anew on what is left, and prints their accuracy beside that without as many
random pixels. The directory gets a report of its own; the same command resumes in the retraining
where it was cut off. A method's settings follow its name; two are this command's: absolute=False
ranks by signed values, and smoothing=2 blurs a map by so many pixels first, the control for whether
a method is better or merely smoother.

Each method needs protocols x fractions x seeds retrainings of each network: begin with few of them,
by --models, --fractions and --steps.
"""

import robust_saliency.startup  # isort: skip  # noqa: F401
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from absl import flags

from robust_saliency import command_line

WORKDIR = command_line.shared("workdir")
METHODS = command_line.shared("methods")
MODELS = command_line.shared("models")
FRACTIONS = flags.DEFINE_list("fractions", ["0.3", "0.5", "0.7"], "of the pixels that are removed")
PROTOCOLS = flags.DEFINE_list("protocols", ["ROAR", "KAR"], "ROAR, KAR or both")
RETRAIN = flags.DEFINE_string(
  "retrain", None, "the network whose recipe is trained anew, by cross-entropy; default: the first"
)
STEPS = flags.DEFINE_integer("steps", None, "of each retraining; default: the recipe's")
TRAIN_EXAMPLES = flags.DEFINE_integer(
  "train_examples", None, "how many training images; default: all"
)
EXAMPLES = command_line.shared("examples")
OUT = command_line.shared("out")
DATA_DIR = command_line.shared("data_dir")


def _fractions() -> tuple[float, ...]:
  try:
    return tuple(map(float, FRACTIONS.value))
  except ValueError:
    raise ValueError(
      f"fractions must be numbers between commas, e.g. 0.3,0.5,0.7; got {','.join(FRACTIONS.value)}"
    ) from None


def main(argv: list[str]) -> None:
  """The command; its arguments come as flags."""
  del argv
  command_line.use_all_cores()
  from robust_saliency.pipeline import named_methods, removals  # takes seconds

  settings: dict[str, Any] = {"fractions": _fractions(), "protocols": tuple(PROTOCOLS.value)}
  images = {"train_examples": TRAIN_EXAMPLES.value, "scored_examples": EXAMPLES.value}
  settings |= {name: count for name, count in images.items() if count is not None}
  page, result = removals.remove_and_retrain_experiment(
    Path(WORKDIR.value),
    named_methods.split(METHODS.value),
    models=MODELS.value,
    retrain=RETRAIN.value,
    steps=STEPS.value,
    settings=settings,
    out=Path(OUT.value) if OUT.value else None,
    data_dir=DATA_DIR.value,
    imports=command_line.imported(),
    command=command_line.as_typed("robust_saliency", "roar", *sys.argv[1:]),
  )
  print(removals.show(result))
  print(os.path.relpath(page))


def _names() -> dict[str, Collection[str]]:
  from robust_saliency.attributions.registry import ATTRIBUTIONS

  return {"Methods": tuple(ATTRIBUTIONS)}


COMMAND = command_line.Command(
  main,
  __doc__,
  (
    WORKDIR,
    METHODS,
    MODELS,
    FRACTIONS,
    PROTOCOLS,
    RETRAIN,
    STEPS,
    TRAIN_EXAMPLES,
    EXAMPLES,
    OUT,
    DATA_DIR,
    command_line.shared("import"),
    command_line.shared("debug"),
  ),
  names=_names,
  missing=command_line.missing_workdir,
  defaults={"examples": "all", "out": "WORKDIR/roar"},
)

if __name__ == "__main__":
  command_line.run(COMMAND)
