"""The flags that several commands have, each defined by the first command that takes it.

A command thus has no flag that it would not look at.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags
from ml_collections import config_flags

from robust_saliency.command_line.shipped import find_config

if TYPE_CHECKING:
  from robust_saliency.pipeline.imports import Import

_FLAGS: dict[str, tuple[Callable[..., flags.FlagHolder], object, str]] = {
  "workdir": (flags.DEFINE_string, None, "an experiment's directory, e.g. runs/digits"),
  "data_dir": (
    flags.DEFINE_string,
    None,
    "where TFDS's prepared sets lie; default: $TFDS_DATA_DIR, then ~/tensorflow_datasets",
  ),
  "methods": (
    flags.DEFINE_string,
    "gradient,smoothgrad",
    "what attributions, with their settings",
  ),
  "models": (flags.DEFINE_list, [], "the experiment's networks to look at, NAME,...; default: all"),
  "studies": (flags.DEFINE_list, [], "the studies to look at, NAME,..."),
  "examples": (flags.DEFINE_integer, None, "how many test images"),
  "out": (flags.DEFINE_string, None, "where the files go"),
  "import": (
    flags.DEFINE_multi_string,
    [],
    "a Python file that registers methods of your own",
  ),
  "debug": (flags.DEFINE_bool, False, "show the traceback of an error"),
}


@functools.cache
def shared(name: str) -> flags.FlagHolder:
  """A flag that commands share; the first call defines it, since absl refuses a second time.

  >>> shared("workdir").name
  'workdir'
  """
  define, default, description = _FLAGS[name]
  return define(name, default, description)


def missing_workdir() -> str | None:
  """What is said where --workdir of a finished experiment is not given."""
  if not shared("workdir").value:
    return "give --workdir=DIRECTORY of a finished experiment, e.g. runs/digits"
  return None


@functools.cache
def define_config_flag() -> flags.FlagHolder:
  """The flag --config, whose every field is a flag --config.FIELD."""
  described = "an experiment: a file, or one that comes with the package, e.g. digits:mnist"
  return config_flags.DEFINE_config_file("config", None, described, lock_config=True)


def config_folder() -> Path:
  """The folder of the config file, beside which its tables lie."""
  name = config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0]
  # Some installers leave links to files that lie elsewhere, and tables are read through none.
  return (find_config(name) or Path(name)).resolve().parent


def imported() -> "list[Import]":
  """Executes the files that --import names."""
  from robust_saliency.pipeline import imports  # imports JAX

  return imports.load(shared("import").value)
