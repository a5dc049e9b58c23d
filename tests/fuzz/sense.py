"""Values that a kind of field may well have, by hand; our own configs have others."""

from typing import Any

# Small counts: the experiments with them are run.
KINDS: dict[str, tuple[Any, ...]] = {
  "count": (1, 2, 7),
  "count or zero": (0, 1),
  "whole number": (-1, 2),
  "number": (-0.5, 0, 1),
  "number >= 0": (0, 0.03, 1.5, 1e30),
  "number > 0": (1e-6, 0.5, 3),
  "fraction": (0, 0.25, 1),
  "flag": (False, True),
  "unroll": (True, 1, 2),
  "text": ("<b>5 %</b>", "ein Titel", "a" * 500),
  "radii": ([0.0], [0.3, 0.1], [0, 1e-9, 2]),
  "seeds": ([0], [5, 2], [2**32 - 1]),
  "layer sizes": ([], [1], [3, 5]),
  "bounds": ([-1, 1], [0, 255], [-0.5, 2.5]),
  "counts": ([1], [2, 1]),
  "table": ([],),
}


def of(kind: str, *but: str) -> list[Any]:
  """What a field of this kind may be; None too, where it may be left out."""
  return [*KINDS.get(kind, ()), *([None] if "none" in but else [])]
