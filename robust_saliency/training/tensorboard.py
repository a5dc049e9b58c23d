"""Metrics in TensorBoard's format."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from robust_saliency.core import files


@contextlib.contextmanager
def hidden(module: str) -> Iterator[None]:
  """Makes imports of a module fail, unless it has been imported before."""
  if module in sys.modules:
    yield
    return
  sys.modules[module] = None  # type: ignore[assignment]
  try:
    yield
  finally:
    sys.modules.pop(module, None)


# Where it is installed, tensorboardX imports it, seconds long, for the sake of an annotation.
with hidden("torch"):
  from tensorboardX.event_file_writer import EventsWriter
  from tensorboardX.proto.event_pb2 import Event, SessionLog
  from tensorboardX.summary import scalar


class EventFile:
  """One file of events, of a run that begins or goes on.

  Args:
    directory: the folder that TensorBoard is given.
    resumed_at: the step after which the run goes on.
  """

  def __init__(self, directory: Path, *, resumed_at: int):
    self._directory = directory
    directory.mkdir(parents=True, exist_ok=True)
    # Not SummaryWriter: its thread dies on a full disk, and the run would wait for it for ever.
    self._events = EventsWriter(str(directory / "events"), f".{resumed_at}")
    start = SessionLog(status=SessionLog.START)
    self._write(Event(step=resumed_at + 1, session_log=start))

  def write(self, step: int, metrics: Mapping[str, float]) -> None:
    """Adds the metrics of one step."""
    for name, value in metrics.items():
      self._write(Event(step=step, summary=scalar(name, value)))

  def flush(self) -> None:
    """Puts everything on disk."""
    with files.naming_the_file(self._directory):
      self._events.flush()

  def close(self) -> None:
    """Closes the file."""
    with files.naming_the_file(self._directory):
      self._events.close()

  def _write(self, event: Event) -> None:
    event.wall_time = time.time()
    with files.naming_the_file(self._directory):
      self._events.write_event(event)
