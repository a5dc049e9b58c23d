"""What every command needs before JAX starts: its config, its devices, and errors in a sentence."""

import ast
import errno
import functools
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import jax
from absl import app, flags, logging
from ml_collections import ConfigDict, FieldReference, config_flags

from robust_saliency.core import checks
from robust_saliency.pipeline import imports, schema
from robust_saliency.training import interruption

_CONFIG = "--config"
_MOST_HOST_DEVICES = 8


# What all commands have in common, defined once: absl refuses a name that is defined twice.
WORKDIR = flags.DEFINE_string("workdir", None, "an experiment's directory, e.g. runs/digits")
DATA_DIR = flags.DEFINE_string(
  "data_dir", None, "where TFDS's prepared sets lie; default: $TFDS_DATA_DIR"
)
MODELS = flags.DEFINE_list("models", [], "the experiment's networks to look at; default: all")
EXAMPLES = flags.DEFINE_integer("examples", None, "how many test images")
OUT = flags.DEFINE_string("out", None, "where the files go; default: a folder in --workdir")
IMPORT = flags.DEFINE_multi_string(
  "import", [], "a Python file that registers methods of your own; may be repeated"
)
DEBUG = flags.DEFINE_bool("debug", False, "show the traceback of an error")


def use_all_cores() -> None:
  """Makes JAX see `host_devices(cores)` devices on CPU; call it before JAX does anything.

  XLA_FLAGS that set a count already are left alone.
  """
  xla_flags = os.environ.get("XLA_FLAGS", "")
  if "xla_force_host_platform_device_count" not in xla_flags:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = host_devices(cores or 1)
    os.environ["XLA_FLAGS"] = f"{xla_flags} --xla_force_host_platform_device_count={count}".strip()


def host_devices(cores: int, jax_version: tuple[int, ...] = jax.__version_info__) -> int:
  """How many host devices to train on; those that are fewer than the cores share them.

  Since jax 0.12, one device that spreads each operation over its cores is faster than a batch
  spread over devices by `pmap`; before, neither always is (benchmarks/host_devices.py). Training
  copies the data set to every device, hence at most 8.

  >>> host_devices(4, (0, 10, 1)), host_devices(64, (0, 10, 1)), host_devices(64, (0, 12, 0))
  (4, 8, 1)
  """
  return 1 if jax_version >= (0, 12) else min(cores, _MOST_HOST_DEVICES)


def imported() -> list[imports.Import]:
  """Executes the files that --import names."""
  return imports.load(IMPORT.value)


def config_folder() -> Path:
  """The folder of the config file, beside which its tables lie."""
  return Path(config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0]).parent


@functools.cache
def define_config_flag() -> flags.FlagHolder:
  """The flag --config, a file with `get_config`, whose every field is a flag --config.FIELD.

  Commands that take one call this; the first call defines it.
  """
  return config_flags.DEFINE_config_file(
    "config", None, "an experiment, e.g. experiments/digits.py:mnist", lock_config=True
  )


def parse_flags(argv: Sequence[str]) -> list[str]:
  """Parses the command line; whatever is wrong with it ends in one sentence.

  A config file that is missing, fails or refuses its words, and an unknown field, would otherwise
  give a traceback, or an object that fails much later.
  """
  argv = [argv[0], *_in_one_spelling(argv[1:])]
  given = [argument.split("=", 1)[1] for argument in argv if argument.startswith(f"{_CONFIG}=")]
  if len(given) > 1:
    stop(f"--config may be given once, got {' and '.join(given)}")
  if given:
    config = load_config(given[0])
    for argument in argv[1:]:
      if field := re.match(r"--(?:no)?config\.([^=]*)", argument):
        _admit(config, field[1])
    # With the fields that flags set; ml-collections' own parser would execute the file again.
    flags.FLAGS["config"].parser = _Loaded(config.lock())
  # ml-collections looks for the fields there.
  sys.argv[1:] = argv[1:]
  try:
    return flags.FLAGS(list(argv))
  except flags.Error as error:
    stop(str(error).strip().splitlines()[0])


class _Loaded(flags.ArgumentParser):
  """The parser of --config: gives a config that has been loaded."""

  def __init__(self, config: ConfigDict):
    self._config = config

  def parse(self, argument: str) -> ConfigDict:
    """See `flags.ArgumentParser.parse`."""
    del argument
    return self._config


def _in_one_spelling(arguments: Sequence[str]) -> list[str]:
  """The arguments with --config=FILE for each of the ways in which it may be written.

  >>> _in_one_spelling(["-config", "a.py", "-config.seeds=(1,)", "--", "-config=b.py"])
  ['--config=a.py', '--config.seeds=(1,)', '--', '-config=b.py']
  """
  result: list[str] = []
  rest = list(arguments)
  while rest:
    argument = rest.pop(0)
    if argument == "--":
      return [*result, argument, *rest]
    if argument == _CONFIG[1:] or argument.startswith((f"{_CONFIG[1:]}=", f"{_CONFIG[1:]}.")):
      argument = f"-{argument}"
    if argument == _CONFIG and rest:
      argument = f"{_CONFIG}={rest.pop(0)}"
    result.append(argument)
  return result


def load_config(path_and_words: str) -> ConfigDict:
  """The config that `FILE` or `FILE:WORDS` gives.

  Ends the program with one sentence if the file is missing, fails, or refuses its words.
  """
  path, _, words = path_and_words.partition(":")
  if not Path(path).is_file():
    stop(f"--config names no file: {path}")
  try:
    module = _execute(Path(path))
    if not callable(getattr(module, "get_config", None)):
      stop(f"--config file {path} has no function get_config")
    config = module.get_config(words) if words else module.get_config()
  except Exception as error:  # the file is the user's, and may raise anything
    stop(f"--config={path_and_words} fails with {type(error).__name__}: {_one_line(error)}")
  if not isinstance(config, ConfigDict):
    stop(f"get_config of {path} must return a ConfigDict, got {type(config).__name__}")
  return config


def run(main: Callable[[list[str]], None]) -> None:
  """Runs a command: `app.run`, with the errors that we raise for people as sentences."""

  def guarded(argv: list[str]) -> None:
    # Orbax logs some twenty lines for each checkpoint.
    logging.set_verbosity(logging.WARNING)
    if len(argv) > 1:
      stop(f"unknown argument {argv[1]!r}; fields of the config are set by --config.FIELD=VALUE")
    try:
      with interruption.stopping_on_signals():
        main(argv)
    except interruption.StoppedError as stopped:
      print(f"{stopped}. Start the same command again to resume.", file=sys.stderr)
      sys.exit(interruption.EXIT_CODE)
    except (ValueError, TypeError, FloatingPointError, OSError, RuntimeError) as error:
      if DEBUG.value:
        raise
      stop(_one_line(error) + _advice(error))

  app.run(guarded, flags_parser=parse_flags)


def stop(sentence: str) -> NoReturn:
  """Ends the program with an error of one sentence."""
  print(f"error: {sentence}", file=sys.stderr)
  sys.exit(2)


def _execute(path: Path) -> ModuleType:
  specification = importlib.util.spec_from_file_location("experiment_config", path)
  assert specification is not None
  assert specification.loader is not None
  module = importlib.util.module_from_spec(specification)
  specification.loader.exec_module(module)
  return module


def _admit(config: ConfigDict, field: str) -> None:
  """Makes a field that a flag sets one of the config's; stops for one that it cannot have.

  The schema says which fields those are that the config leaves at their defaults, and of what type.
  """
  node, path = config, list[str]()
  for part in field.split("."):
    name, bracket, index = part.partition("[")
    allowed = schema.fields_at(config, path) if hasattr(node, "keys") else {}
    if len(path) == field.count(".") and name in allowed:
      _declare(node, name, schema.flag_type(allowed[name]))
    elif not hasattr(node, "keys") or name not in node:
      known = list(dict.fromkeys([*allowed, *getattr(node, "keys", list)()]))
      has = f"it has {', '.join(known)}" if known else "it has no fields"
      where = ".".join(["config", *path])
      stop(f"{where} has no field {name!r}{checks.did_you_mean(name, known)}; {has}")
    node = node[name]
    path.append(name)
    if bracket:
      where = ".".join(["config", *path])
      try:
        entry = node[ast.literal_eval(index.rstrip("]"))]
      except (LookupError, ValueError, SyntaxError, TypeError):
        stop(f"{where} has no entry [{index}")
      if isinstance(node, tuple):
        stop(f"{where} has no entries that can be set one by one; give them all, as in (1, 2)")
      node = entry


def _declare(node: ConfigDict, name: str, kind: type) -> None:
  """Lets a flag set a field that has no value yet, None, or one of a narrower type."""
  value = node.get(name)
  if kind is float and type(value) is int:
    value = float(value)
  if value is None or (isinstance(value, kind) and kind is not object):
    with node.unlocked(), node.ignore_type():
      node[name] = FieldReference(value, field_type=kind)


def _one_line(error: BaseException) -> str:
  return " ".join(str(error).split()) or type(error).__name__


def _advice(error: BaseException) -> str:
  """What helps when a disk is full, however deep the reason lies."""
  while not (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
    if error.__cause__ is None:
      full = "No space left on device" in str(error)
      return _DISK_FULL if full else ""
    error = error.__cause__
  return _DISK_FULL


_DISK_FULL = (
  ". What was finished before is kept: make room, and start the same command again to resume."
)
