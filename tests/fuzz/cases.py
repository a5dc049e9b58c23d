"""A case of the fuzzer, and what is wrong with how it ended."""

import contextlib
import io
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

LONGEST = 400  # characters of a sentence

TRACEBACK = "a traceback"
ACCEPTED = "nonsense accepted"
UNNAMED = "a refusal that does not name its place"
LONG = f"a sentence of more than {LONGEST} characters"
WRONGS = (TRACEBACK, ACCEPTED, UNNAMED, LONG)


@dataclass(frozen=True)
class Case:
  """Something that must be refused.

  Attributes:
    what: it, in words.
    names: of which the sentence must have one.
    run: does it.
  """

  what: str
  names: Sequence[str]
  run: Callable[[], Any]


class Finding(NamedTuple):
  """What is wrong with how a case ended."""

  wrong: str
  said: str


class Refused(Exception):  # noqa: N818 - no error
  """A command's sentence, where it ended as it should."""


def judge(case: Case) -> Finding | None:
  """Runs a case; None where it is refused in a short sentence that names the place."""
  try:
    with quiet():
      case.run()
  except (ValueError, TypeError, Refused) as error:
    sentence = str(error)
  # Whatever else comes is what is looked for; recursion has no other name.
  except Exception as error:
    return Finding(TRACEBACK, f"{type(error).__name__}: {error}")
  else:
    return Finding(ACCEPTED, "")
  if not any(re.search(rf"(?<![a-zA-Z]){re.escape(name)}(?![a-zA-Z])", sentence)
             for name in case.names):  # fmt: skip
    return Finding(UNNAMED, sentence)
  return Finding(LONG, sentence) if len(sentence) > LONGEST else None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Without warnings and output, which are not looked at."""
  with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    warnings.simplefilter("ignore")
    yield


def brief(value: Any) -> str:
  """A value in the words of a case."""
  try:
    text = " ".join(repr(value).split())
  except ValueError:  # whole numbers of thousands of digits
    return f"a {type(value).__name__} of thousands of digits"
  text = re.sub(r" at 0x[0-9a-f]+", "", text)
  return text if len(text) <= 60 else f"{text[:57]}..."
