"""Runs an experiment: trains what is missing, runs its studies, and writes its report.

  python -m robust_saliency.main --config=experiments/digits.py --workdir=runs/digits

Every field of the config can be overridden: --config.models.pgd.epochs=5. The same command, given
again, resumes where it was cut off. It ends with 0, or with 2 and a sentence that says what is
wrong, or with 75 where SIGTERM or Ctrl-C stopped it: then all is well, start it again.
"""

import robust_saliency.startup  # isort: skip  # noqa: F401
import os
import sys
from pathlib import Path

from absl import flags

from robust_saliency import command_line
from robust_saliency.pipeline import Experiment

CONFIG = command_line.define_config_flag()
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


def main(argv: list[str]) -> None:
  """The command; its arguments come as flags."""
  del argv
  if CONFIG.value is None or not command_line.WORKDIR.value:
    command_line.stop(
      "give --config=FILE and --workdir=DIRECTORY, e.g. "
      "--config=experiments/digits.py --workdir=runs/digits"
    )
  command_line.use_all_cores()
  experiment = Experiment(
    CONFIG.value,
    Path(command_line.WORKDIR.value),
    folder=command_line.config_folder(),
    data_dir=command_line.DATA_DIR.value,
    rerun_changed=RERUN_CHANGED.value,
    together=TOGETHER.value,
    imports=command_line.imported(),
  )
  command = " ".join(["python -m robust_saliency.main", *sys.argv[1:]])
  print(os.path.relpath(experiment.run(command=command)))


if __name__ == "__main__":
  command_line.run(main)
