"""The order of what needs something else: topological, and otherwise as it was given."""

import heapq
from collections.abc import Callable, Hashable, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def in_order(
  needs: Mapping[Node, Iterable[Node]], *, what: str, name_of: Callable[[Node], str] = str
) -> list[Node]:
  """Everything, each after what it needs; of what may come next the first of the mapping.

  Args:
    needs: node -> what it needs, which are nodes, too.
    what: what they are in the plural, for errors.
    name_of: what an error calls a node.

  Raises:
    ValueError: for nodes that need one another, in a sentence that says how.

  >>> in_order({"student": ["maps"], "maps": ["net"], "other": [], "net": []}, what="stages")
  ['other', 'net', 'maps', 'student']
  >>> in_order({"a": ["b"], "b": ["a"]}, what="stages")
  Traceback (most recent call last):
  ValueError: stages must not need one another; got a, which needs b, which needs a
  """
  sorter = TopologicalSorter(needs)
  try:
    sorter.prepare()
  except CycleError as error:
    cycle = list(reversed(error.args[1]))
    # From the one that was given first, whatever set or hash has found.
    first = min(range(len(cycle) - 1), key=lambda i: list(needs).index(cycle[i]))
    around = [*cycle[first:-1], *cycle[: first + 1]]
    named = ", which needs ".join(map(name_of, around))
    raise ValueError(f"{what} must not need one another; got {named}") from None
  places = {node: place for place, node in enumerate(needs)}
  nodes = list(needs)
  ready: list[int] = []
  found: list[Node] = []
  while sorter.is_active():
    for node in sorter.get_ready():
      heapq.heappush(ready, places[node])
    node = nodes[heapq.heappop(ready)]
    found.append(node)
    sorter.done(node)
  return found
