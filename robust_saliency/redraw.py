"""Draws a report anew from its own data, and judges its claims anew.

  python -m robust_saliency redraw --workdir=RUN --out=ANEW

Networks and data set are not needed: a report's folder keeps the arrays that it rests on in
`data/`, and the tables of its claims and of the paper's numbers beside the page. With --small the
new folder is fit for a repository: the page carries its figures and nothing else does, numbers have
the eleven bits of a half float, and the page is drawn from those.
"""

import robust_saliency.startup  # isort: skip  # noqa: F401
import os
from pathlib import Path

from absl import flags

from robust_saliency import command_line

WORKDIR = command_line.shared("workdir")
OUT = command_line.shared("out")
SMALL = flags.DEFINE_bool("small", False, "write what a repository should keep")


def _missing() -> str | None:
  return None if WORKDIR.value else "give --workdir=DIRECTORY of a report, e.g. runs/digits"


def main(argv: list[str]) -> None:
  """The command; its arguments come as flags."""
  del argv
  from robust_saliency.pipeline.redrawing import redraw  # takes seconds

  path = redraw(
    Path(WORKDIR.value),
    Path(OUT.value) if OUT.value else None,
    small=SMALL.value,
    imports=command_line.imported(),
  )
  print(os.path.relpath(path))


COMMAND = command_line.Command(
  main,
  __doc__,
  (WORKDIR, OUT, SMALL, command_line.shared("import"), command_line.shared("debug")),
  missing=_missing,
  defaults={"out": "WORKDIR, over the old page"},
)

if __name__ == "__main__":
  command_line.run(COMMAND)
