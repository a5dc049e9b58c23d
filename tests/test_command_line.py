"""The command line as people meet it: every mistake ends in one sentence."""

import os
import subprocess
import sys

import pytest
from absl import flags

from robust_saliency import command_line, main

GOOD = """
from robust_saliency.configs import ordered
def get_config(words=""):
  if words not in ("", "small"):
    raise ValueError(f"variant must be small, got {words!r}")
  return ordered({"title": "t", "models": {"pgd": {"epochs": 3, "epsilon": 0.1}}})
"""


@pytest.fixture
def config_file(tmp_path):
  path = tmp_path / "good.py"
  path.write_text(GOOD)
  return path


@pytest.fixture(autouse=True)
def fresh_flags():
  saved = {name: flags.FLAGS[name].value for name in ("config", "workdir", "data_dir")}
  yield
  for name, value in saved.items():
    flags.FLAGS[name].value = value


def parse(monkeypatch, *arguments):
  # ml-collections looks for overrides in sys.argv itself.
  monkeypatch.setattr(sys, "argv", ["main", *map(str, arguments)])
  return command_line.parse_flags(sys.argv)


def test_fields_are_overridden_by_flags(config_file, monkeypatch):
  parse(monkeypatch, f"--config={config_file}:small", "--config.models.pgd.epochs=5")
  assert main.CONFIG.value.models.pgd.epochs == 5


@pytest.mark.parametrize(
  ("arguments", "sentence"),
  [
    (["--config={}.missing"], "error: --config names no file: "),
    (["--config={}:large"], "fails with ValueError: variant must be small, got 'large'"),
    (["--config={}", "--config.models.pdg.epochs=5"], "has no field 'pdg' (did you mean 'pgd'?)"),
    (["--config={}", "--config.models.pgd.epoch=5"], "config.models.pgd has no field 'epoch'"),
    (["--config={}", "--config.title.x=5"], "config.title has no field 'x'; it has no fields"),
    (["--config={}", "--wrkdir=x"], "wrkdir"),
  ],
)
def test_a_mistake_ends_in_one_sentence(config_file, capsys, monkeypatch, arguments, sentence):
  with pytest.raises(SystemExit) as stopped:
    parse(monkeypatch, *(argument.format(config_file) for argument in arguments))
  error = capsys.readouterr().err
  assert stopped.value.code == 2
  assert sentence in error
  assert error.startswith("error: ")
  assert error.count("\n") == 1


@pytest.mark.parametrize(
  ("content", "sentence"),
  [
    ("import a_module_that_is_not_there", "ModuleNotFoundError"),
    ("1 / 0", "ZeroDivisionError"),
    ("def (", "SyntaxError"),
    ("x = 1", "has no function get_config"),
    ("def get_config(): return 3", "must return a ConfigDict"),
  ],
)
def test_a_config_file_that_fails_ends_in_one_sentence(tmp_path, capsys, content, sentence):
  path = tmp_path / "bad.py"
  path.write_text(content)
  with pytest.raises(SystemExit):
    command_line.load_config(str(path))
  error = capsys.readouterr().err
  assert sentence in error
  assert error.count("\n") == 1


def test_as_many_host_devices_are_asked_for_as_there_are_cores(monkeypatch):
  monkeypatch.setenv("XLA_FLAGS", "--xla_something")
  command_line.use_all_cores()
  cores = len(os.sched_getaffinity(0))
  assert f"device_count={cores}" in os.environ["XLA_FLAGS"]
  assert "--xla_something" in os.environ["XLA_FLAGS"]


def test_a_count_of_host_devices_that_is_set_already_is_left_alone(monkeypatch):
  monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=3")
  command_line.use_all_cores()
  assert os.environ["XLA_FLAGS"] == "--xla_force_host_platform_device_count=3"


@pytest.mark.parametrize(
  ("arguments", "sentence"),
  [
    (["--config=experiments/digits.py", "extra"], "error: unknown argument 'extra'"),
    (
      ["--config=experiments/digits.py", "--config.models.pgd.epochs=many"],
      "error: flag --config.models.pgd.epochs=many: ",
    ),
    (
      ["--config=experiments/digits.py", "--workdir=/proc/nothing"],
      "error: workdir /proc/nothing cannot be used",
    ),
  ],
)
def test_the_whole_command_ends_in_one_sentence(arguments, sentence, request):
  done = subprocess.run(
    [sys.executable, "-m", "robust_saliency.main", *arguments],
    capture_output=True,
    text=True,
    cwd=request.config.rootpath,
    check=False,
  )
  assert done.returncode == 2
  assert done.stderr.splitlines()[-1].startswith(sentence)
  assert "Traceback" not in done.stderr
