"""How far a long stage is: one changing line on a terminal, a plain line now and then in a log."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO

REFRESH_SECONDS = 0.2
LOG_SECONDS = 30.0

# Back to the beginning of the line, and what stands there away.
_ANEW = "\r\x1b[2K"


class Progress:
  """Shows count, rate and time left of one stage.

  Args:
    label: what is going on ("pgd, seed 0").
    total: how many steps there are; None where nobody knows.
    start: how many of them were done before.
    unit: what is counted.
    stream: where to write; a terminal gets one changing line, anything else plain lines.
    shown: False writes nothing, as all processes but the first do.
  """

  def __init__(
    self,
    label: str,
    total: int | None,
    *,
    start: int = 0,
    unit: str = "steps",
    stream: TextIO | None = None,
    shown: bool = True,
  ):
    self._label, self._total, self._start, self._unit = label, total, start, unit
    self._stream = stream or sys.stderr
    self._terminal, self._shown = self._stream.isatty(), shown
    self._began = self._updated = time.monotonic()

  def update(self, done: int, note: str = "") -> None:
    """Says that `done` steps are done; writes at most every now and then."""
    now = time.monotonic()
    if now - self._updated < (REFRESH_SECONDS if self._terminal else LOG_SECONDS):
      return
    self._updated = now
    rate = (done - self._start) / max(now - self._began, 1e-9)
    if self._total is None:
      line = f"{self._label}: {done:,} {self._unit} so far, {rate:.1f}/s"
    else:
      left = (self._total - done) / rate if rate else float("inf")
      line = (
        f"{self._label}: {done}/{self._total} {self._unit}, {rate:.1f}/s, {duration(left)} left"
      )
    line += f", {note}" if note else ""
    self._write(f"{_ANEW}{line}" if self._terminal else f"{line}\n")

  def finish(self, note: str = "") -> None:
    """Says that the stage is done and how long it took."""
    line = f"{self._label}: done in {duration(time.monotonic() - self._began)}"
    line += f", {note}" if note else ""
    self._write((f"{_ANEW}{line}" if self._terminal else line) + "\n")

  def clear(self) -> None:
    """Takes the changing line away, for what is printed next."""
    if self._terminal:
      self._write(_ANEW)

  def _write(self, text: str) -> None:
    if self._shown:
      self._stream.write(text)
      self._stream.flush()


class _Counting:
  """What `count` adds to: the innermost stage of `counting`, and its sum."""

  progress: Progress | None = None
  done: int = 0


_counting = _Counting()


@contextlib.contextmanager
def counting(progress: Progress) -> Iterator[None]:
  """Within it what is given to `count`, anywhere, is shown as one stage's progress.

  For stages that call many functions of many parts, of which none knows how much is left.

  >>> with counting(Progress("robustness", None, unit="images", shown=False)):
  ...   count(100)
  """
  before = _counting.progress, _counting.done
  _counting.progress, _counting.done = progress, 0
  try:
    yield
  finally:
    _counting.progress, _counting.done = before
    progress.clear()


def count(number: int) -> None:
  """Says that so many more are done; nothing happens outside `counting`."""
  if _counting.progress is not None:
    _counting.done += number
    _counting.progress.update(_counting.done)


def duration(seconds: float) -> str:
  """Time as people say it.

  >>> duration(3.21), duration(75), duration(7500), duration(float("inf"))
  ('3.2 s', '1 min 15 s', '2 h 05 min', '?')
  """
  if seconds == float("inf"):
    return "?"
  if seconds < 60:
    return f"{seconds:.1f} s"
  minutes, rest = divmod(round(seconds), 60)
  return (
    f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
  )
