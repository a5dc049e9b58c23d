"""Asks people about a run's maps or adversarial images, and counts what they answer.

  python -m robust_saliency user_study make --workdir=RUN --model=NAME
  python -m robust_saliency user_study count --workdir=RUN VOTES.json...

make writes user_studies/NAME/questionnaire.html, one file that opens anywhere without a network,
keeps its progress in the browser, and gives each participant's votes as a file; names of methods
are in key.json beside it alone. count reads any number of those files, refuses what does not
belong to the questionnaire, and writes shares, tests with the participant as the unit, power and a
figure as votes.html and votes.json; claims about votes are then judged in the report.

The designs: forced_choice puts maps of the methods that explain has run side by side, or those of
--studies; plausible_label shows the images of a study of kind targeted, one after another.
"""

import robust_saliency.startup  # isort: skip  # noqa: F401
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from robust_saliency import command_line

ACTIONS = ("make", "count")

WORKDIR = command_line.shared("workdir")
NAME = flags.DEFINE_string("name", None, "what the questionnaire is called; default: its design")
DESIGN = flags.DEFINE_string("design", "forced_choice", "forced_choice or plausible_label")
STUDIES = command_line.shared("studies")
MODEL = flags.DEFINE_string(
  "model", None, "the network whose maps are compared; default: the only one"
)
COMPARE = flags.DEFINE_string(
  "compare", None, "which methods or networks are compared, NAME,...; default: all"
)
ABOUT = flags.DEFINE_string("about", "class", "class or image: of what there is one map each")
SEED = flags.DEFINE_integer("seed", 0, "fixes whatever is random; it is recorded")
_OF_MAKE = ("studies", "model", "compare", "about", "seed")


def _wrong(arguments: Sequence[str]) -> str | None:
  action, *paths = arguments or [""]
  if action not in ACTIONS:
    return f"give what to do first, one of {', '.join(ACTIONS)}; got {action!r}"
  if action == "make":
    return f"make takes no files, got {paths[0]!r}" if paths else None
  given = [name for name in _OF_MAKE if flags.FLAGS[name].present]
  if given:
    return f"--{given[0]} is of make; count reads it from the key"
  return None if paths else "give the files with the votes: count --workdir=RUN VOTES.json..."


def main(argv: list[str]) -> None:
  """The command; what to do and the files are arguments, the rest comes as flags."""
  _, action, *paths = argv
  workdir = Path(WORKDIR.value)
  (_make if action == "make" else _count)(workdir, [Path(path) for path in paths])


def _make(workdir: Path, paths: Sequence[Path]) -> None:
  del paths
  from robust_saliency.pipeline import named_methods, questionnaires  # takes seconds

  page, said = questionnaires.make_questionnaire(
    workdir,
    DESIGN.value,
    studies=STUDIES.value,
    model=MODEL.value,
    compare=named_methods.split(COMPARE.value or ""),
    about=ABOUT.value,
    seed=SEED.value,
    name=NAME.value,
  )
  for sentence in said:
    print(sentence, file=sys.stderr)
  print(os.path.relpath(page))


def _count(workdir: Path, paths: Sequence[Path]) -> None:
  from robust_saliency.core import checks
  from robust_saliency.pipeline import vote_counts  # takes seconds

  name = NAME.value or DESIGN.value
  words = ["robust_saliency", "user_study", "count", f"--workdir={workdir}", f"--name={name}"]
  command = command_line.as_typed(*words, *map(str, paths))
  counted = vote_counts.count_votes(workdir, name, paths, command=checks.printable(command))
  for sentence in counted.refused:
    print(f"refused: {sentence}", file=sys.stderr)
  print(os.path.relpath(counted.page))
  command_line.say_how_to_show(WORKDIR.value)


COMMAND = command_line.Command(
  main,
  __doc__,
  (
    WORKDIR,
    NAME,
    DESIGN,
    STUDIES,
    MODEL,
    COMPARE,
    ABOUT,
    SEED,
    command_line.shared("debug"),
  ),
  missing=command_line.missing_workdir,
  wrong=_wrong,
  defaults={"studies": "the maps of explain"},
)

if __name__ == "__main__":
  command_line.run(COMMAND)
