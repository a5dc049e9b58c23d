"""Folders: whose they are for the moment, and that nothing in them leads out of them."""

import contextlib
import errno
import fcntl
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from robust_saliency.core import checks
from robust_saliency.core.files import DamagedFileError


def remove_tree(directory: Path) -> None:
  """Deletes a folder with all that is in it, if it is there."""
  if directory.is_dir() and not directory.is_symlink():
    shutil.rmtree(directory)


def refuse_unwritable(directory: Path) -> None:
  """Makes a directory, and raises if nothing could be written to it: before hours of work.

  Raises:
    OSError: with its path.
  """
  try:
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory):
      pass
  except OSError as error:
    raise OSError(error.errno, error.strerror or str(error), str(directory)) from None


def refuse_linked_folders(directory: Path) -> None:
  """Raises for a link to a folder anywhere in a directory, which may be somebody else's work.

  What is written to such a folder, or deleted in it, would be elsewhere. Links to files do no harm:
  they are replaced and not followed. The directory itself may be reached by a link.

  Raises:
    DamagedFileError: naming the link.
  """
  waiting = [str(directory)]
  while waiting:
    # Another process may be at work in it, and take a folder away.
    with (
      contextlib.suppress(FileNotFoundError, NotADirectoryError),
      os.scandir(waiting.pop()) as entries,
    ):
      for entry in entries:
        if entry.is_dir(follow_symlinks=False):
          waiting.append(entry.path)
        elif entry.is_symlink() and os.path.isdir(entry.path):
          link, target = map(checks.printable, (entry.path, os.readlink(entry.path)))
          raise DamagedFileError(
            f"{link} is a link to a folder, {target}, and what is written or deleted there would "
            "be elsewhere; put the folder itself in its place"
          )


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
  """Holds a lock file; the system gives it back when the process ends, even by a kill.

  Args:
    path: the lock file, which stays; it holds the number of the process that had it last.

  Raises:
    BlockingIOError: if another process holds it, with its number.
    OSError: if it cannot be written, or something else has its name.
  """
  # A folder of somebody else's may have a link or a pipe in its place.
  descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
  with os.fdopen(descriptor, "r+b", buffering=0) as file:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
      raise OSError(errno.EINVAL, "It is no lock of ours but a pipe or a link", str(path))
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
      raise BlockingIOError(f"process {holder or '?'} is using it") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    yield
