"""Python's search for garbage in cycles, which takes a fifth of a start."""

import contextlib
import gc
from collections.abc import Iterator

_RARELY = (100_000, 50, 100)


@contextlib.contextmanager
def collecting_rarely() -> Iterator[None]:
  """Collects rarely while much is made that stays: modules, and what JAX knows of a program.

  >>> before = gc.get_threshold()
  >>> with collecting_rarely():
  ...   gc.get_threshold()[0] > before[0]
  True
  >>> gc.get_threshold() == before
  True
  """
  before = gc.get_threshold()
  gc.set_threshold(*_RARELY)
  try:
    yield
  finally:
    gc.set_threshold(*before)
