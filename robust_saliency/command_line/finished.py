"""What a finished run's directory was left like, so that the same command ends at once.

Everything that the run follows from must be as it was, to the byte: the config and its tables, the
command line, this package, the libraries that compute, the data set, and every file in the
directory. Then the run would find nothing to do, and need not import what it would do it with.
Anything else, be it a doubt, and the run looks for itself. Nothing is read from the record: it is
only compared with what is there.
"""

import functools
import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

RECORD = "finished.json"
_NOT_OF_THE_RUN = (RECORD, ".lock")
# Without them a data set is what the package and its libraries make of its name.
_WITH_THE_PACKAGE = ("digits", "kim_toy")
_LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "scikit-learn", "matplotlib")


def note(
  workdir: Path,
  config: Mapping[str, Any],
  *,
  folder: Path,
  data_dir: str | None,
  argv: Sequence[str],
) -> None:
  """Writes what the directory is like, once a run of it is finished.

  Args:
    workdir: the run's directory.
    config: the run's.
    folder: where the config's tables lie.
    data_dir: where TFDS's prepared sets lie.
    argv: the command line.
  """
  state = _state(workdir, config, folder, data_dir, argv)
  if state is None:
    return
  from robust_saliency.core import files  # imports JAX, which the run has done

  files.write_bytes(workdir / RECORD, json.dumps(state, indent=1).encode())


def is_as_noted(
  workdir: Path,
  config: Mapping[str, Any],
  *,
  folder: Path,
  data_dir: str | None,
  argv: Sequence[str],
) -> bool:
  """Whether a run of this command has finished here, and nothing has changed since; see `note`."""
  try:
    path = workdir / RECORD
    if not stat.S_ISREG(path.lstat().st_mode):
      return False
    noted = json.loads(path.read_text())
    if not isinstance(noted, dict) or noted.get("given") != _given(config, folder, argv):
      return False
    return noted == _state(workdir, config, folder, data_dir, argv)
  except (OSError, ValueError, RecursionError):
    return False


def _state(
  workdir: Path, config: Mapping[str, Any], folder: Path, data_dir: str | None, argv: Sequence[str]
) -> dict[str, Any] | None:
  """All that must be as it was; None where that cannot be told."""
  files = {}
  for path in _walk(workdir):
    if path is None:
      return None
    name = str(path.relative_to(workdir))
    if name not in _NOT_OF_THE_RUN:
      files[name] = _digest_of(path)
  return {
    "given": _given(config, folder, argv),
    "data": _data(config, data_dir),
    "files": dict(sorted(files.items())),
  }


def _given(config: Mapping[str, Any], folder: Path, argv: Sequence[str]) -> dict[str, Any]:
  tables = [config.get(field) for field in ("claims", "published")]
  paths = [folder / Path(one).name for one in tables if isinstance(one, str)]
  # Which benchmarks the claims are about, and where those would lie, only a run finds out.
  nearby = [*folder.glob("*.json"), *folder.parent.glob("benchmarks/results/*.json")]
  return {
    "arguments": list(argv),
    "config": hashlib.sha256(repr(_plain(config)).encode()).hexdigest(),
    "tables": [_digest_of(path) for path in paths],
    "benchmarks": {str(path): path.stat().st_mtime_ns for path in sorted(nearby)},
    "environment": {name: os.environ.get(name) for name in ("TFDS_DATA_DIR", "NOTMNIST")},
    **code(),
  }


def code() -> dict[str, Any]:
  """What a run's numbers follow from besides what it is given: this package and the libraries."""
  versions = {"python": sys.version, **{one: _version(one) for one in _LIBRARIES}}
  return {"package": _of_package(), "versions": versions}


def _version(library: str) -> str:
  try:
    return metadata.version(library)
  except metadata.PackageNotFoundError:  # from a source tree of its own
    return ""


def _plain(value: Any) -> Any:
  """A config in the order of its fields, which is that of the report."""
  if hasattr(value, "items"):
    return [(name, _plain(value[name])) for name in value]
  return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _data(config: Mapping[str, Any], data_dir: str | None) -> str:
  """The content of the data set where it lies somewhere on this machine."""
  dataset = config["dataset"]
  if dataset["name"] in _WITH_THE_PACKAGE:
    return ""
  from robust_saliency import data  # imports JAX
  from robust_saliency.data.dataset import digest_of_dataset

  loaded = data.load(
    dataset["name"], path=dataset.get("path"), data_dir=data_dir, bounds=dataset.get("bounds")
  )
  return digest_of_dataset(loaded)


@functools.cache
def _of_package() -> str:
  """The content of this package, which a user may be working on."""
  folder = Path(__file__).parents[1]
  paths = sorted(one for one in folder.rglob("*") if one.suffix in (".py", ".html", ".css", ".js"))
  lines = [f"{path.relative_to(folder)} {_digest_of(path)}" for path in paths]
  return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _walk(folder: Path) -> Iterator[Path | None]:
  """The files in a folder and those in it; None for whatever is neither, such as a link."""
  for entry in os.scandir(folder):
    if entry.is_dir(follow_symlinks=False):
      yield from _walk(Path(entry.path))
    else:
      yield Path(entry.path) if entry.is_file(follow_symlinks=False) else None


def _digest_of(path: Path) -> str:
  with path.open("rb") as file:
    return hashlib.file_digest(file, "sha256").hexdigest()
