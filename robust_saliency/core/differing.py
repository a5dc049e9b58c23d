"""Where nested fields differ."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def differing(
  values: Sequence[Any], *, absent: Any, path: str = ""
) -> Iterator[tuple[str, list[Any]]]:
  """The fields in which nested mappings differ, and what each has there.

  Args:
    values: the mappings.
    absent: what stands for a field that one of them lacks.
    path: what their fields' names begin with.

  >>> list(differing([{"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "d": 2}}], absent=None))
  [('a.c', [2, None]), ('a.d', [None, 2])]
  """
  if all(isinstance(one, Mapping) for one in values):
    for name in dict.fromkeys(name for one in values for name in one):
      inner = [one.get(name, absent) for one in values]
      yield from differing(inner, absent=absent, path=f"{path}.{name}" if path else str(name))
  elif any(one != values[0] for one in values):
    yield path, list(values)
