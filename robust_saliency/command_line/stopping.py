"""How a command ends that cannot go on: with one sentence and exit code 2."""

import errno
import sys
from typing import NoReturn

_DISK_FULL = (
  ". What was finished before is kept: make room, and start the same command again to resume."
)


def stop(sentence: str) -> NoReturn:
  """Ends the program with an error of one sentence."""
  print(f"error: {sentence}", file=sys.stderr)
  sys.exit(2)


def one_line(error: BaseException) -> str:
  r"""The text of an error without line breaks or what a terminal obeys; its type if it has none.

  >>> one_line(ValueError("two\nlines")), one_line(KeyboardInterrupt())
  ('two lines', 'KeyboardInterrupt')
  """
  said = " ".join(str(error).split()) or type(error).__name__
  if said.isprintable():
    return said
  from robust_saliency.core import checks  # imports JAX

  return checks.printable(said)


def advice(error: BaseException) -> str:
  """What helps when a disk is full, however deep the reason lies; "" for other errors."""
  while not (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)):
    if error.__cause__ is None:
      full = "No space left on device" in str(error)
      return _DISK_FULL if full else ""
    error = error.__cause__
  return _DISK_FULL
