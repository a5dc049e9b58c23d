"""Draws cases, runs them, and counts what is wrong."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tests.fuzz import call_cases, command_cases, config_cases
from tests.fuzz.cases import WRONGS, Case, Finding, judge

# Kind -> all its cases, whose order is that of their numbers.
CASES: dict[str, Callable[[], Sequence[Case]]] = {
  "config": config_cases.cases,
  "command": command_cases.cases,
  "call": call_cases.cases,
}


class Outcome(NamedTuple):
  """A case that has been run: its kind and number, by which it can be repeated."""

  kind: str
  number: int
  case: Case
  finding: Finding | None


def drawn(kind: str, seed: int, count: int) -> list[int]:
  """The numbers of so many cases of a kind, or of all where there are not so many."""
  numbers = range(len(CASES[kind]()))
  return sorted(random.Random(f"{kind} {seed}").sample(numbers, min(count, len(numbers))))


def outcomes(kind: str, numbers: Sequence[int]) -> Iterator[Outcome]:
  """Runs cases by their numbers."""
  cases = CASES[kind]()
  for number in numbers:
    yield Outcome(kind, number, cases[number], judge(cases[number]))


def described(outcome: Outcome) -> str:
  """One line: how to repeat it, what it was, and what came."""
  wrong, said = outcome.finding or Finding("as it should be", "")
  line = f"{outcome.kind}:{outcome.number}  {wrong}: {outcome.case.what}"
  shown = " ".join(said.split())
  return f"{line} -> {shown[:300]}" if shown else line


def table(found: Sequence[Outcome]) -> str:
  """How many cases of each kind, and how many went wrong in which way."""
  lines = []
  for kind in CASES:
    of_kind = [one for one in found if one.kind == kind]
    if of_kind:
      counts = {
        wrong: sum(one.finding is not None and one.finding.wrong == wrong for one in of_kind)
        for wrong in WRONGS
      }
      lines.append(
        f"{kind}: {len(of_kind)} cases" + "".join(f"; {n} {wrong}" for wrong, n in counts.items())
      )
  return "\n".join(lines)
