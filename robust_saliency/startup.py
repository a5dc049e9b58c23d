"""Signals that come while a command is still being imported: a sentence instead of a traceback.

Commands import this before anything else, since JAX takes seconds. What is done then, and after the
command's own work, can be done again.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType

EXIT_CODE = 75  # as that of `training.interruption`, which imports JAX


def _stop(number: int, frame: FrameType | None) -> None:
  del frame
  sentence = f"stopped by {signal.Signals(number).name}. Start the same command again to resume.\n"
  # Neither print nor an exception: either could end in the middle of an import.
  os.write(2, sentence.encode())
  os._exit(EXIT_CODE)


def stop_on_signals() -> None:
  """Lets SIGTERM and Ctrl-C end the process with a sentence, until the command takes over."""
  for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, _stop)


# Not where a program imports one of the commands for a function of it.
if Path(sys.argv[0]).resolve().parent == Path(__file__).resolve().parent:
  stop_on_signals()
