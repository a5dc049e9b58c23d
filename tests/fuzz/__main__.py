"""Gives the package nonsense, and says where it is not refused in a sentence that names the place.

  python -m tests.fuzz                           2,000 configs, 200 command lines, 4,000 calls
  python -m tests.fuzz --seed=3 --config=100     others, and fewer configs
  python -m tests.fuzz --only=call:12            one case again, with its traceback

It ends with 1 if anything is wrong.
"""

import argparse
import sys
import time
import traceback

import jax

from tests.fuzz.fuzzer import CASES, described, drawn, outcomes, table

COUNTS = {"config": 2000, "command": 200, "call": 4000}


def main() -> int:
  """The command."""
  parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
  parser.add_argument("--seed", type=int, default=0)
  parser.add_argument("--only", help="a case as the list names it, config:17 say")
  parser.add_argument("--match", default="", help="only cases that have this in their words")
  for kind, count in COUNTS.items():
    parser.add_argument(f"--{kind}", type=int, default=count, help=f"how many {kind} cases")
  options = parser.parse_args()
  jax.config.update("jax_platforms", "cpu")
  if options.only:
    return _repeat(*options.only.split(":"))
  found, began = [], time.monotonic()
  for kind in CASES:
    numbers = [
      number
      for number in drawn(kind, options.seed, getattr(options, kind))
      if options.match in CASES[kind]()[number].what
    ]
    for outcome in outcomes(kind, numbers):
      found.append(outcome)
      if outcome.finding is not None:
        print(described(outcome), flush=True)
  print(table(found))
  print(f"seed {options.seed}, {time.monotonic() - began:.0f} s")
  return int(any(one.finding is not None for one in found))


def _repeat(kind: str, number: str) -> int:
  case = CASES[kind]()[int(number)]
  print(case.what)
  try:
    print("accepted:", case.run())
  except Exception:
    traceback.print_exc()
  (outcome,) = outcomes(kind, [int(number)])
  print(described(outcome))
  return int(outcome.finding is not None)


if __name__ == "__main__":
  sys.exit(main())
