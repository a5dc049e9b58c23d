"""Numbers that decide no claim, whatever they are: a study says so of its own, and why.

A network that is useless on clean images, say, says nothing about what its defence does.
"""

from collections.abc import Mapping
from typing import Any

from robust_saliency.results.result import Result

# The entry of a result's metadata where its gates stand.
GATES = "not_judged"


def gate(array: str, why: str, **at: Any) -> dict[str, Any]:
  """Closes a part of a study's array to claims; goes into the list `metadata["not_judged"]`.

  Args:
    array: its name.
    why: a sentence without its full stop, which the report prints beside each claim.
    **at: axis -> the coordinate that is closed; all of the array where none is given.

  >>> gate("best", "its network is not accurate enough", family="GR(y)")
  {'array': 'best', 'at': {'family': 'GR(y)'}, 'why': 'its network is not accurate enough'}
  """
  return {"array": array, "at": at, "why": why}


def why_not(result: Result, array: str, *places: Mapping[str, Any]) -> str | None:
  """Why claims at one of these places of an array are not judged; None where they are.

  >>> from robust_saliency.results.result import Layout
  >>> closed = {GATES: [gate("best", "too few images", family="GR(y)")]}
  >>> result = Result("s", "selection", Layout({}, {}), {}, closed)
  >>> why_not(result, "best", {"family": "undefended"}, {"family": "GR(y)", "seed": 0})
  'too few images'
  >>> why_not(result, "best", {"family": "undefended"}) is None
  True
  """
  for one in result.metadata.get(GATES, ()):
    if one["array"] == array and any(one["at"].items() <= place.items() for place in places):
      return str(one["why"])
  return None
