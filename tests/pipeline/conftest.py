"""Finished experiments, and the three commands that meet the folder of a small one."""

import functools
import os
import shutil
import stat

import numpy as np
import pytest

from robust_saliency.attacks import evaluate_attacks
from robust_saliency.pipeline import Experiment, evaluations, explanations
from tests.pipeline import digits

CONFIG = {
  "title": "A small experiment",
  "dataset": {"name": "digits"},
  "seeds": (0, 1),
  "models": {
    "standard": {
      "architecture": {"name": "mlp", "hidden": (8,)},
      "objective": {"cross_entropy": {}},
      "optimizer": {"name": "adam", "learning_rate": 0.01},
      "batch_size": 100,
      "steps": 12,
      "log_every": 4,
      "checkpoint_every": 5,
    },
  },
  "studies": {"accuracy": {"kind": "accuracy", "examples": 50}},
}
THREAT = evaluations.Threat(0.1, "linf", 5)


class Commands:
  """What the commands do, and what they say when they end with 2; "" where they end with 0.

  Whatever `command_line.run` does not catch is a traceback to people, and fails a test here.
  """

  config = CONFIG
  names = ("main", "evaluate", "explain")

  def __call__(self, name, workdir, **settings):
    try:
      getattr(self, name)(workdir, **settings)
    except (ValueError, TypeError, FloatingPointError, OSError, RuntimeError) as error:
      return " ".join(str(error).split())
    return ""

  def main(self, workdir, **settings):
    Experiment(self.config, workdir, **settings).run(command="python -m robust_saliency.main")

  def evaluate(self, workdir, **settings):
    # What it looks at besides takes most of its time, and has tests of its own.
    short = functools.partial(evaluate_attacks, probed=0, count=False)
    with pytest.MonkeyPatch.context() as patched:
      patched.setattr(evaluations.attacks, "evaluate_attacks", short)
      evaluations.evaluate_experiment(workdir, ["fgsm"], THREAT, **settings)

  def explain(self, workdir, **settings):
    explanations.explain_experiment(workdir, ["gradient"], examples=2, **settings)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
  """The folder of the experiment on digits, which no test changes."""
  workdir = tmp_path_factory.mktemp("finished")
  Experiment(digits.CONFIG, workdir).run(command=digits.COMMAND)
  return workdir


@pytest.fixture(scope="session")
def commands():
  return Commands()


@pytest.fixture(scope="session")
def small(commands, tmp_path_factory):
  """The folder of the small experiment, evaluated and explained, too; to be copied."""
  workdir = tmp_path_factory.mktemp("small") / "run"
  for name in commands.names:
    assert commands(name, workdir) == ""
  return workdir


@pytest.fixture
def workdir(small, tmp_path):
  """A copy of the small experiment's folder, alone in a folder."""
  return shutil.copytree(small, tmp_path / "here" / "run")


def state_of(folder):
  """Everything in a folder: what it is, when it was changed, and what it holds."""
  state = {}
  for path in sorted([folder, *folder.rglob("*")]):
    status = path.lstat()
    content = None
    if stat.S_ISREG(status.st_mode) and status.st_size < 2**24:
      content = path.read_bytes()
    elif path.is_symlink():
      content = os.readlink(path)
    state[str(path.relative_to(folder))] = (
      status.st_mode,
      status.st_size,
      status.st_mtime_ns,
      content,
    )
  return state


@pytest.fixture(scope="session")
def state():
  return state_of


@pytest.fixture(scope="session")
def correct():
  """What the study in a folder has measured."""

  def read(workdir):
    with np.load(workdir / "studies" / "accuracy" / "result.npz", allow_pickle=False) as arrays:
      return arrays["correct"]

  return read
