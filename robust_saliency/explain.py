"""Explains the networks of a finished experiment by several methods.

  python -m robust_saliency explain --workdir=RUN --methods=lime:samples=200

writes, for each network, MODEL.png and MODEL.svg, a panel with the images in the first row and the
maps of one method in each of the others, and MODEL.npz with the arrays. A method's settings follow
its name, as those of an attack do. Maps explain the true class; of a network with several seeds the
first is looked at.
"""

import robust_saliency.startup  # isort: skip  # noqa: F401
import os
from collections.abc import Collection
from pathlib import Path

from robust_saliency import command_line

WORKDIR = command_line.shared("workdir")
METHODS = command_line.shared("methods")
MODELS = command_line.shared("models")
EXAMPLES = command_line.shared("examples")
OUT = command_line.shared("out")
DATA_DIR = command_line.shared("data_dir")


def main(argv: list[str]) -> None:
  """The command; its arguments come as flags."""
  del argv
  command_line.use_all_cores()
  from robust_saliency.pipeline import explanations, named_methods  # takes seconds

  imports = command_line.imported()
  for path in explanations.explain_experiment(
    Path(WORKDIR.value),
    named_methods.split(METHODS.value),
    models=MODELS.value,
    examples=explanations.EXAMPLES if EXAMPLES.value is None else EXAMPLES.value,
    out=Path(OUT.value) if OUT.value else None,
    data_dir=DATA_DIR.value,
    imports=imports,
  ):
    print(os.path.relpath(path))
  if not OUT.value:
    command_line.say_how_to_show(WORKDIR.value)


def _names() -> dict[str, Collection[str]]:
  from robust_saliency.attributions.registry import ATTRIBUTIONS

  return {"Methods": (*ATTRIBUTIONS, "expected_gradients")}


COMMAND = command_line.Command(
  main,
  __doc__,
  (
    WORKDIR,
    METHODS,
    MODELS,
    EXAMPLES,
    OUT,
    DATA_DIR,
    command_line.shared("import"),
    command_line.shared("debug"),
  ),
  names=_names,
  missing=command_line.missing_workdir,
  defaults={"examples": "10", "out": "WORKDIR/explanations"},
)

if __name__ == "__main__":
  command_line.run(COMMAND)
