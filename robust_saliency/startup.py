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


# Not where a program imports one of the commands for a function of it.
if Path(sys.argv[0]).resolve().parent == Path(__file__).resolve().parent:
  for _signal in (signal.SIGTERM, signal.SIGINT):
    signal.signal(_signal, _stop)
