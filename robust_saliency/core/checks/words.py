"""Names, text and mappings, and how a value stands in a sentence."""

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

SHOWN = 60  # characters of a value that a sentence repeats
LISTED = 8  # names that a sentence lists of those that are allowed


@contextlib.contextmanager
def naming(where: str) -> Iterator[None]:
  """Puts the place in front of the sentences that are raised inside.

  >>> with naming("attack 'fgsm'"):
  ...   raise ValueError("steps must be > 0, got 0")
  Traceback (most recent call last):
  ValueError: attack 'fgsm': steps must be > 0, got 0
  """
  try:
    yield
  except (ValueError, TypeError) as error:
    kind = TypeError if isinstance(error, TypeError) else ValueError
    raise kind(f"{where}: {error}") from error


def text(**arguments: Any) -> None:
  """Raises unless each value is a string that can be printed and is not empty: `text(label=label)`.

  >>> text(label="")
  Traceback (most recent call last):
  TypeError: label must be text that can be printed, got ''
  """
  for name, value in arguments.items():
    if not isinstance(value, str) or not value.strip() or not value.replace("\n", "").isprintable():
      raise TypeError(f"{name} must be text that can be printed, got {shown(value)}")


def printable(words: str) -> str:
  r"""A stranger's words without what a terminal would obey.

  >>> printable("a\x1b[2J.json is no file")
  'a\\x1b[2J.json is no file'
  """
  return "".join(
    one if one.isprintable() else one.encode("unicode_escape", "backslashreplace").decode()
    for one in words
  )


def mapping(**arguments: Any) -> None:
  """Raises unless each value is a mapping of names to values, as a config's entries are.

  >>> mapping(attack="pgd")
  Traceback (most recent call last):
  TypeError: attack must be a mapping such as {"name": ...}, got 'pgd'
  """
  for name, value in arguments.items():
    # ml_collections' ConfigDict is no Mapping.
    if not isinstance(value, Mapping) and not hasattr(value, "keys"):
      raise TypeError(f'{name} must be a mapping such as {{"name": ...}}, got {shown(value)}')


def one_of(value: Any, allowed: Iterable[str], *, argument: str) -> None:
  """Raises unless the value is an allowed name, and suggests the nearest one.

  >>> one_of("l3", ("linf", "l2", "l1"), argument="norm")
  Traceback (most recent call last):
  ValueError: norm must be one of linf, l2, l1; got 'l3' (did you mean 'l2'?)
  """
  names = list(allowed)
  # An array would be compared entry by entry.
  if isinstance(value, str) and value in names:
    return
  raise ValueError(
    f"{argument} must be one of {listed(names)}; got {shown(value)}{did_you_mean(value, names)}"
  )


def listed(names: Iterable[str]) -> str:
  """Names as a sentence lists them: not all of many.

  >>> listed("abc"), listed("abcdefghijkl")
  ('a, b, c', 'a, b, c, d, e, f, g, h, ...')
  """
  names = list(names)
  return ", ".join([*names[:LISTED], *(["..."] if len(names) > LISTED else [])])


def shown(value: Any) -> str:
  """A value as a sentence repeats it: not at length.

  >>> shown("a" * 100)[-8:]
  'aaaa ...'
  """
  try:
    text = " ".join(repr(value).split())
  except ValueError:  # whole numbers of thousands of digits
    text = f"a {type(value).__name__} too long to print"
  return text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."


def did_you_mean(value: Any, allowed: Iterable[str]) -> str:
  """The suffix ` (did you mean 'pgd'?)` where a known name is near, otherwise nothing."""
  if not isinstance(value, str):
    return ""
  near = difflib.get_close_matches(value, list(allowed), n=1, cutoff=0.5)
  return f" (did you mean {near[0]!r}?)" if near else ""
