"""Tables of members by name, and how a user's own get into them.

What was registered from an imported file is known by that file's digest, so that results do not
outlive the code that made them.
"""

import contextlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

from robust_saliency.core import checks

T = TypeVar("T")

# Name -> the digests of the imported files that registered it.
_ORIGINS: dict[str, str] = {}
# Digest of an imported file -> the tables and names that it has entered.
_ENTERED: dict[str, list[tuple[MutableMapping[str, Any], str]]] = {}
_importing: list[str] = []


def register(table: MutableMapping[str, T], name: str, member: T, *, what: str) -> T:
  """Enters a member into a table of names that configs use.

  Args:
    table: name -> member.
    name: what configs call it.
    member: whatever the table holds.
    what: what the table holds, for errors ("attack").

  Returns:
    The member.

  Raises:
    ValueError, TypeError: for a name that is taken, or is no printable text.

  >>> register({"pgd": 1}, "pgd", 2, what="attack")
  Traceback (most recent call last):
  ValueError: an attack named 'pgd' is registered already
  """
  if not isinstance(name, str) or not name.strip() or not name.isprintable():
    raise TypeError(
      f"the name of {_article(what)} must be text that can be printed, got {checks.shown(name)}"
    )
  if name in table:
    raise ValueError(f"{_article(what)} named {name!r} is registered already")
  table[name] = member
  if _importing:
    # One name may stand in several tables, from several files.
    known = _ORIGINS.get(name, "").split()
    _ORIGINS[name] = " ".join(sorted({*known, _importing[-1]}))
    _ENTERED.setdefault(_importing[-1], []).append((table, name))
  return member


@contextlib.contextmanager
def importing(digest: str) -> Iterator[None]:
  """What is registered meanwhile comes from a file of this digest."""
  _importing.append(digest)
  try:
    yield
  finally:
    _importing.pop()


def forget(digest: str) -> None:
  """Takes out of all tables what was registered from the imported file of this digest.

  >>> table = {}
  >>> with importing("0f9c"):
  ...   register(table, "mine", 1, what="attack")
  1
  >>> forget("0f9c")
  >>> table, origins_of("mine")
  ({}, {})
  """
  for table, name in _ENTERED.pop(digest, []):
    table.pop(name, None)
    others = set(_ORIGINS.pop(name, "").split()) - {digest}
    if others:
      _ORIGINS[name] = " ".join(sorted(others))


def origins_of(settings: Any) -> dict[str, str]:
  """The imported names that stand in settings -> the digests of their files."""
  if isinstance(settings, Mapping):
    return {n: d for key, value in settings.items() for n, d in origins_of([key, value]).items()}
  if isinstance(settings, (list, tuple)):
    return {name: digest for one in settings for name, digest in origins_of(one).items()}
  return {settings: _ORIGINS[settings]} if settings in _ORIGINS else {}


def _article(what: str) -> str:
  return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"
