"""Several processes that share the stages of one experiment, each with cores of its own.

For networks that are too small to keep all cores busy; benchmarks/jobs.py times them both ways.
"""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO

# The cores of a process that was started to help; unset in the one that a user has started.
CORES = "ROBUST_SALIENCY_CORES"
_ANEW = "\r\x1b[2K"  # away with the line on which a terminal shows progress


def is_helper() -> bool:
  """Whether another process has started this one to share its stages."""
  return CORES in os.environ


class Jobs:
  """This process and those that it starts; made before JAX does anything.

  Args:
    count: how many there are together.

  Raises:
    ValueError: unless there are as many cores.
  """

  def __init__(self, count: int):
    from robust_saliency.core import checks  # takes seconds, which --help must not wait for

    pinned = hasattr(os, "sched_setaffinity")
    if is_helper():
      self._shares = [[int(core) for core in os.environ[CORES].split(",")]]
    else:
      cores = sorted(os.sched_getaffinity(0)) if pinned else [*range(os.cpu_count() or 1)]
      checks.count(1, maximum=len(cores), jobs=count)
      self._shares = [cores[job::count] for job in range(count)]
    if pinned and (count > 1 or is_helper()):
      os.sched_setaffinity(0, self._shares[0])

  @contextlib.contextmanager
  def started(self) -> Iterator[None]:
    """Within it the same command runs in the other processes, which end before it does."""
    helpers, relays = [], []
    try:
      for cores in self._shares[1:]:
        helper = subprocess.Popen(
          [sys.executable, "-m", "robust_saliency.main", *sys.argv[1:]],
          env={**os.environ, CORES: ",".join(map(str, cores))},
          stdin=subprocess.DEVNULL,
          stdout=subprocess.DEVNULL,
          stderr=subprocess.PIPE,
          text=True,
          errors="replace",
          # Ctrl-C reaches this process alone, which tells the others once.
          start_new_session=True,
        )
        helpers.append(helper)
        relays.append(threading.Thread(target=_relay, args=(helper.stderr,), daemon=True))
        relays[-1].start()
      yield
    except BaseException:
      for helper in helpers:
        helper.terminate()
      raise
    finally:
      try:
        for helper in helpers:
          helper.wait()
      except BaseException:
        for helper in helpers:
          helper.kill()
        raise
      for relay in relays:
        relay.join()


def _relay(lines: IO[str]) -> None:
  for line in lines:
    sys.stderr.write(f"{_ANEW if sys.stderr.isatty() else ''}{line}")
    sys.stderr.flush()
