"""Being asked to stop: by SIGTERM, as schedulers of clusters do, or by Ctrl-C."""

import contextlib
import gc
import os
import signal
import threading
import weakref
from collections.abc import Iterator
from types import FrameType

import jax
import numpy as np
from jax.experimental import multihost_utils

# EX_TEMPFAIL of sysexits.h: nothing is wrong; start the same command again, and it resumes.
EXIT_CODE = 75

SOON = 0.01  # seconds

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StoppedError(BaseException):
  """The process was asked to stop; what has been computed is saved.

  Like KeyboardInterrupt no `Exception`, so that no library takes it for an error of its own.
  """


class _Request:
  """What the signal handler knows: which signal has come, and whether it must wait."""

  name: str | None = None
  deferred: bool = False


_request = _Request()


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[None]:
  """Turns SIGTERM and Ctrl-C into a StoppedError, at once or at the end of what is `deferred`.

  A second Ctrl-C does not wait. A second SIGTERM changes nothing: schedulers send it to all
  processes of a job, and the first of these passes it on to those that it has started. In other
  threads than the main one, where Python allows no handlers, this does nothing.
  """
  if threading.current_thread() is not threading.main_thread():
    yield
    return
  previous = {number: signal.signal(number, _on_signal) for number in SIGNALS}
  try:
    yield
  finally:
    for number, handler in previous.items():
      signal.signal(number, handler)
    _request.name, _request.deferred = None, False


@contextlib.contextmanager
def deferred() -> Iterator[None]:
  """Within it the first signal only makes `is_asked` true."""
  before, _request.deferred = _request.deferred, True
  try:
    yield
  finally:
    _request.deferred = before


def is_asked(*, of_any_process: bool = False) -> bool:
  """Whether a signal has come.

  Args:
    of_any_process: whether it has come to any of several; all of them must call this together.
  """
  asked = _request.name is not None
  if of_any_process and jax.process_count() > 1:
    return bool(np.any(multihost_utils.process_allgather(np.array(asked))))
  return asked


def stop(where: str) -> None:
  """Raises StoppedError.

  Args:
    where: what is saved, for the person who reads it.
  """
  raise StoppedError(f"stopped by {_request.name or 'another process'}: {where}")


def check(where: str) -> None:
  """Stops if a signal has come."""
  if is_asked():
    stop(where)


def _on_signal(number: int, frame: FrameType | None) -> None:
  if _forgets_errors(frame):
    again = threading.Timer(SOON, os.kill, (os.getpid(), number))
    again.daemon = True
    again.start()
    return
  is_second = _request.name is not None
  if is_second and number == signal.SIGTERM:
    return
  waits = _request.deferred and not is_second
  _request.name = signal.Signals(number).name
  if not waits:
    stop("what is finished is saved")


def _forgets_errors(frame: FrameType | None) -> bool:
  """Whether Python would print what is raised here, and forget it: while it collects garbage."""
  # JAX has such a callback; signals that come while XLA compiles are often handled in it first.
  callbacks = [getattr(callback, "__code__", None) for callback in gc.callbacks]
  while frame is not None:
    code = frame.f_code
    if code in callbacks or code.co_name == "__del__" or code.co_filename == _WEAKREF:
      return True
    frame = frame.f_back
  return False


_WEAKREF = weakref.__file__
