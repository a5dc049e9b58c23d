"""Command lines that must end in a sentence, run in this process."""

import atexit
import contextlib
import functools
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import jax
from absl import flags

from robust_saliency import command_line, data, evaluate, explain, main, models, pipeline
from robust_saliency.data import __main__ as data_command
from robust_saliency.pipeline import Experiment, evaluations, explanations, read_networks
from robust_saliency.pipeline import workdir as workdirs
from robust_saliency.training import TrainedNetwork
from tests.fuzz.cases import Case, Refused, brief
from tests.fuzz.command_lines import FILES, FLAGS, GOOD, NO_NONSENSE, OTHER, TEXTS

COMMANDS = {"main": main, "evaluate": evaluate, "explain": explain}
REFUSED = 2  # the code with which every command refuses


@functools.cache
def cases() -> Sequence[Case]:
  """Command x flag x nonsense, and the other lines."""
  found = []
  for command, flag_kinds in FLAGS.items():
    for flag, kind in flag_kinds.items():
      for text in TEXTS[kind]:
        if (flag, text) not in NO_NONSENSE:
          line = [one for one in GOOD[command] if not one.startswith(f"--{flag}=")]
          found.append(_case(command, [*line, f"--{flag}={text}"], _names(flag, text)))
  for command, lines in OTHER.items():
    found += [_case(command, line, (name,)) for line, name in lines]
  return found


def _names(flag: str, text: str) -> tuple[str, ...]:
  """Of which the sentence must have one: the flag, or of a method's settings the setting."""
  if flag in ("attacks", "methods"):
    settings = text.split(":")[1:]
    fields = tuple(field for one in settings if (field := one.partition("=")[0]))
    kinds = ("attack",) if flag == "attacks" else ("method", "attribution")
    return (flag, *(fields or kinds))
  return (flag.split(".")[-1], f"--{flag}")


def _case(command: str, line: Sequence[str], names: Sequence[str]) -> Case:
  what = f"{command} {' '.join(one if len(one) < 80 else brief(one) for one in line)}"
  return Case(what, names, lambda: run(command, line))


def run(command: str, line: Sequence[str]) -> None:
  """Runs a command line.

  Raises:
    Refused: with the sentence, where it ends as it should.
  """
  arguments = [one.replace("{folder}", str(folder())).replace("{{}}", "{}") for one in line]
  said = io.StringIO()
  with _as_a_program(arguments), contextlib.redirect_stderr(said):
    try:
      if command == "data":
        data_command.main(arguments)
      else:
        command_line.run(COMMANDS[command].COMMAND)
    except SystemExit as stopped:
      code, text = stopped.code, said.getvalue()
      if isinstance(code, str):
        code, text = 1, f"{text}{code}"
      if not code:
        return
      if code != REFUSED or "Traceback" in text:
        raise RuntimeError(f"exit code {code}: {text}") from stopped
      raise Refused(text.strip().splitlines()[-1]) from stopped


@functools.cache
def folder() -> Path:
  """Where the files lie that the lines name."""
  path = Path(tempfile.mkdtemp(prefix="fuzz-"))
  atexit.register(shutil.rmtree, path, ignore_errors=True)
  for name, content in FILES.items():
    (path / name).parent.mkdir(exist_ok=True)
    (path / name).write_bytes(content)
  return path


class _Checked(Experiment):
  """An experiment that is checked and claims its directory, and is not run."""

  def run(self, *, command: str, beside: Any = None) -> Path:
    del command, beside
    with workdirs.in_use(self.workdir):
      return self.workdir


@functools.cache
def _network() -> tuple[Any, dict[str, list[TrainedNetwork]]]:
  """What a finished experiment would give."""
  dataset = data.load("digits")
  module = models.build("mlp", hidden=(), num_classes=len(dataset.classes))
  variables = models.init(module, jax.random.key(0), dataset.image_shape)
  return dataset, {"net": [TrainedNetwork(module, variables)]}


def _read(workdir: Path, **settings: Any) -> Any:
  return _network() if workdir == folder() / "finished" else read_networks(workdir, **settings)


@contextlib.contextmanager
def _as_a_program(arguments: Sequence[str]) -> Iterator[None]:
  """As if the process had been started with these; afterwards as it was."""
  environment = dict(os.environ)
  with (
    mock.patch.object(sys, "argv", ["command", *arguments]),
    mock.patch.object(pipeline, "Experiment", _Checked),
    mock.patch.object(evaluations, "read_networks", _read),
    mock.patch.object(explanations, "read_networks", _read),
    mock.patch.dict(os.environ, environment),
    _flags_as_they_were(),
  ):
    yield


@contextlib.contextmanager
def _flags_as_they_were() -> Iterator[None]:
  before = {name: flags.FLAGS[name].value for name in flags.FLAGS}
  try:
    yield
  finally:
    for name in list(flags.FLAGS):
      if name not in before:  # fields of a config
        delattr(flags.FLAGS, name)
      else:
        flags.FLAGS[name].unparse()
        flags.FLAGS[name].value = before[name]
