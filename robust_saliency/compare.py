"""Puts several finished runs into one table: their numbers, and how far they lie apart.

  python -m robust_saliency compare runs/a runs/b --out=comparison

prints where the runs' configs differ, then for each quantity and network the number in each run
with its interval, and how much larger it is than in the first. Every number that a study has of a
network by itself is compared (accuracy, robustness at each radius, map quality, ROAR, ...); the
matrices of transfer and the pictures are not. With --out there are also

  report.html           the same as a page
  data/comparison.csv   the same as numbers

Only what a run keeps for its report is read. It may be somebody else's: nothing of it is executed.
"""

import robust_saliency.startup  # isort: skip  # noqa: F401
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from robust_saliency import command_line

STUDIES = command_line.shared("studies")
OUT = command_line.shared("out")


def _wrong(arguments: Sequence[str]) -> str | None:
  if len(arguments) < 2:
    return "give the directories of two or more finished runs, e.g. runs/a runs/b"
  return None


def main(argv: list[str]) -> None:
  """The command; its arguments are directories, its flags come as flags."""
  from robust_saliency.pipeline.comparing import compare_runs  # takes seconds

  out = Path(OUT.value) if OUT.value else None
  print(
    compare_runs(
      [Path(one) for one in argv[1:]],
      studies=STUDIES.value,
      out=out,
      command=command_line.as_typed("robust_saliency.compare", *sys.argv[1:]),
    )
  )
  if out is not None:
    print(os.path.relpath(out / "report.html"))


COMMAND = command_line.Command(
  main,
  __doc__,
  (STUDIES, OUT, command_line.shared("debug")),
  wrong=_wrong,
  defaults={"studies": "all", "out": "nowhere, the table is printed"},
)

if __name__ == "__main__":
  command_line.run(COMMAND)
