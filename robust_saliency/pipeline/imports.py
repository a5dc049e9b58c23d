"""A user's own attacks, attributions, terms, models, data sets and studies, from files of theirs.

`--config` and `--import` are the only flags whose files are executed. A results folder records the
names and digests of the imports that it was made with, and never loads them.
"""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from absl import logging

from robust_saliency.core import files, registry
from robust_saliency.pipeline.workdir import WorkdirError


class Import(NamedTuple):
  """A file that was imported, and the SHA-256 of its content."""

  name: str
  digest: str


def load(paths: Sequence[str]) -> list[Import]:
  """Executes files, which register what they have.

  Args:
    paths: Python files; each is executed once in a process.

  Raises:
    FileNotFoundError: for a file that is not there.
    ValueError: for one that fails, with its reason.
  """
  loaded = []
  for path in map(Path, paths):
    if not path.is_file():
      raise FileNotFoundError(f"--import names no file: {path}")
    digest = files.digest(path.read_bytes())
    name = module_name(digest)
    if name not in sys.modules:
      _execute(path, name, digest)
    loaded.append(Import(path.name, digest))
  return loaded


def unload(one: Import) -> None:
  """Undoes what `load` has done with a file, so that a later state of it may register its names."""
  registry.forget(one.digest)
  sys.modules.pop(module_name(one.digest), None)


def module_name(digest: str) -> str:
  """The module that a file of this digest is executed as."""
  return f"imported_{digest[:16]}"


def check(recorded: Sequence[Sequence[str]], given: Sequence[Import], workdir: Path) -> None:
  """Refuses to read a folder without the imports that it was made with; warns of changed ones.

  Args:
    recorded: names and digests, as the folder has them.
    given: what was imported.
    workdir: the folder, for the sentence.

  Raises:
    WorkdirError: naming the flags that are missing.
  """
  names = {one.name: one.digest for one in given}
  missing = [name for name, _ in recorded if name not in names]
  if missing:
    flags = " ".join(f"--import={name}" for name in missing)
    raise WorkdirError(f"workdir {workdir} was made with methods of its own: give {flags} too")
  for name, digest in recorded:
    if names[name] != digest:
      logging.warning("%s is another file than the one that %s was made with", name, workdir)


def _execute(path: Path, name: str, digest: str) -> None:
  specification = importlib.util.spec_from_file_location(name, path)
  if specification is None or specification.loader is None:
    raise ValueError(f"--import={path} must be a Python file, *.py")
  module = importlib.util.module_from_spec(specification)
  # Dataclasses look their module up.
  sys.modules[name] = module
  try:
    with registry.importing(digest):
      specification.loader.exec_module(module)
  except Exception as error:  # the file is the user's, and may raise anything
    unload(Import(path.name, digest))
    text = " ".join(str(error).split())
    raise ValueError(f"--import={path} fails with {type(error).__name__}: {text}") from error
