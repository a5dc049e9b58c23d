"""Programs that were compiled once, kept for the next start of a command.

JAX's own cache, in a folder of the user's: `robust_saliency/compiled` in `XDG_CACHE_HOME` or
`~/.cache`, one for each version of jaxlib. What is in it is executed, so it is used only where
nobody else can write, on the way to it neither. `checked/` in it names the plans of experiments
that have been traced before (`pipeline/checked.py`).
"""

import os
import stat
import sys
from importlib import metadata
from pathlib import Path

SWITCH = "ROBUST_SALIENCY_COMPILATION_CACHE"
_OFF = ("0", "false", "no", "off")
# Of all versions together; what was not used for the longest time goes first.
MOST_BYTES = 2 * 1024**3
# JAX's own variables: whoever sets one of them has chosen.
_FOLDER = "JAX_COMPILATION_CACHE_DIR"
_ENABLED = "JAX_ENABLE_COMPILATION_CACHE"
_SECONDS = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def use_compilation_cache() -> None:
  """Lets JAX keep what it compiles; call it before JAX is imported.

  Nothing happens where `ROBUST_SALIENCY_COMPILATION_CACHE` is "off", JAX's own variables say
  something of its cache, or there is no folder that only this user can write to; the last with a
  sentence.
  """
  if os.environ.get(SWITCH, "").lower() in _OFF or {_FOLDER, _ENABLED} & {*os.environ}:
    return
  try:
    folder = own_folder()
    remove_oldest(folder.parent)
  except (OSError, metadata.PackageNotFoundError) as error:
    print(f"compiled programs are not kept: {error}; {SWITCH}=off silences this", file=sys.stderr)
    return
  os.environ[_FOLDER] = str(folder)
  # Most programs of small networks compile in less than JAX's one second.
  os.environ.setdefault(_SECONDS, "0.1")
  # XLA takes hints to its compiler for features that a CPU lacks, and says so at each program.
  os.environ.setdefault(_LOG_LEVEL, "3")


def folder_in_use() -> Path | None:
  """The folder that JAX has been told of; None where it keeps programs elsewhere or nowhere."""
  try:
    folder = own_folder() if _FOLDER in os.environ else None
  except (OSError, metadata.PackageNotFoundError):
    return None
  return folder if str(folder) == os.environ.get(_FOLDER) else None


def own_folder() -> Path:
  """The folder, which only this user can read and write; it is made where it is missing.

  Raises:
    OSError: in a sentence, where there is none, or others can write to it or on the way to it.
  """
  if not hasattr(os, "geteuid"):
    raise OSError("this system does not tell who can write to a folder")
  given = Path(os.environ.get("XDG_CACHE_HOME", ""))
  base = given if given.is_absolute() else _home() / ".cache"
  folder = base / "robust_saliency" / "compiled" / f"jaxlib-{metadata.version('jaxlib')}"
  # Each with a mode of its own: that of `parents=True` is the umask's.
  for path in reversed([folder, *folder.parents]):
    if not path.exists():
      path.mkdir(mode=0o700, exist_ok=True)
  folder = folder.resolve()
  for path in (folder, *folder.parents):
    status = path.stat()
    if status.st_uid not in (os.geteuid(), 0):
      raise OSError(f"{path} belongs to another user")
    # In a folder such as /tmp, nobody can replace what belongs to others.
    replaceable = not status.st_mode & stat.S_ISVTX or path == folder
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and replaceable:
      raise OSError(f"others can write to {path}")
    if path != folder and status.st_uid == os.geteuid() and not status.st_mode & 0o077:
      break  # nobody else gets through here
  if folder.stat().st_uid != os.geteuid():
    raise OSError(f"{folder} belongs to another user")
  folder.chmod(0o700)
  return folder


def _home() -> Path:
  try:
    return Path.home()
  except RuntimeError as error:  # as in a container whose user has no name
    raise OSError(str(error)) from None


def remove_oldest(folder: Path, most_bytes: int = MOST_BYTES) -> None:
  """Deletes the files that were not changed for the longest time, until the others fit in.

  Args:
    folder: with a folder for each version.
    most_bytes: how much may stay; half of it stays where it is more.
  """
  files = [(path.stat(), path) for path in folder.rglob("*") if path.is_file()]
  total = sum(status.st_size for status, _ in files)
  if total <= most_bytes:
    return
  for status, path in sorted(files, key=lambda one: one[0].st_mtime):
    path.unlink(missing_ok=True)
    total -= status.st_size
    if total <= most_bytes // 2:
      return
