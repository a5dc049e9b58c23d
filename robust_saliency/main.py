"""Runs an experiment: trains what is missing, runs its studies, and writes its report.

  python -m robust_saliency main --config=digits --workdir=runs/digits

Every field of the config can be overridden: --config.models.pgd.epochs=5. The same command, given
again, resumes where it was cut off. It ends with 0, or with 2 and a sentence that says what is
wrong, or with 75 where SIGTERM or Ctrl-C stopped it: then all is well, start it again.
"""

import robust_saliency.startup  # isort: skip  # noqa: F401
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from robust_saliency import command_line
from robust_saliency.command_line import finished, jobs
from robust_saliency.command_line.compilation_cache import folder_in_use

if TYPE_CHECKING:
  from robust_saliency.pipeline.checked import Checked

CONFIG = command_line.define_config_flag()
WORKDIR = command_line.shared("workdir")
DATA_DIR = command_line.shared("data_dir")
IMPORT = command_line.shared("import")
RERUN_CHANGED = flags.DEFINE_bool(
  "rerun_changed",
  False,
  "resume in a directory of another config: keep what has not changed, run the rest again",
)
TOGETHER = flags.DEFINE_bool(
  "together",
  None,
  "train networks that differ in seed or weights as one program; default: where a trial is faster",
)
JOBS = flags.DEFINE_integer(
  "jobs",
  1,
  "processes that train and measure side by side, each on its share of the cores; on CPU alone",
)
LIST_FIELDS = flags.DEFINE_bool(
  "list_fields",
  False,
  "list all fields that a config may have, with types, defaults and allowed names, and do no more",
)


def _missing() -> str | None:
  if LIST_FIELDS.value:
    return None
  if CONFIG.value is None or not WORKDIR.value:
    return "give --config=FILE and --workdir=DIRECTORY, e.g. --config=digits --workdir=runs/digits"
  return None


def _nothing_to_do() -> bool:
  """Whether the same command has finished here; without having imported what would do it."""
  if LIST_FIELDS.value or jobs.is_helper():
    return False
  workdir = Path(WORKDIR.value)
  # What is imported may do anything.
  if IMPORT.value or not finished.is_as_noted(workdir, CONFIG.value, **_given()):
    return False
  print("nothing to do: it is finished, and nothing has changed since", file=sys.stderr)
  print(os.path.relpath(workdir / "report.html"))
  return True


def _given() -> dict[str, Any]:
  folder = command_line.config_folder()
  return {"folder": folder, "data_dir": DATA_DIR.value, "argv": sys.argv[1:]}


def _checked() -> "Checked | None":
  """The plans that were traced in an earlier start of the same code; None where none are kept."""
  from robust_saliency.pipeline.checked import Checked

  folder = folder_in_use()
  return None if folder is None else Checked(folder / "checked", finished.code())


def _processes() -> jobs.Jobs:
  """This one and those that it may start, before JAX does anything."""
  if JOBS.value > 1 and TOGETHER.value:
    raise ValueError("jobs must be 1 with --together, which trains networks in one process")
  processes = jobs.Jobs(JOBS.value)
  command_line.use_all_cores()
  if JOBS.value > 1:
    import jax

    if (backend := jax.default_backend()) != "cpu":
      raise ValueError(f"jobs must be 1 on {backend}: one process takes its whole memory")
  return processes


def main(argv: list[str]) -> None:
  """The command; its arguments come as flags."""
  del argv
  if LIST_FIELDS.value:
    from robust_saliency.pipeline import field_list

    command_line.imported()
    print("\n".join(field_list.lines()))
    return
  processes = _processes()
  with command_line.collecting_rarely():
    from robust_saliency.pipeline import Experiment  # takes seconds

    experiment = Experiment(
      CONFIG.value,
      Path(WORKDIR.value),
      folder=command_line.config_folder(),
      data_dir=DATA_DIR.value,
      rerun_changed=RERUN_CHANGED.value,
      together=TOGETHER.value if JOBS.value == 1 else False,
      imports=command_line.imported(),
      checked=_checked(),
    )
  if jobs.is_helper():
    experiment.compute()
    return
  command = command_line.as_typed("robust_saliency.main", *sys.argv[1:])
  print(os.path.relpath(experiment.run(command=command, beside=processes.started())))
  if not IMPORT.value:
    finished.note(Path(WORKDIR.value), CONFIG.value, **_given())


COMMAND = command_line.Command(
  main,
  __doc__,
  (
    CONFIG,
    WORKDIR,
    DATA_DIR,
    IMPORT,
    RERUN_CHANGED,
    TOGETHER,
    JOBS,
    LIST_FIELDS,
    command_line.shared("debug"),
  ),
  missing=_missing,
  at_once=_nothing_to_do,
)

if __name__ == "__main__":
  command_line.run(COMMAND)
