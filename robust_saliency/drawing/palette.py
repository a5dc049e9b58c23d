"""One colour, marker and dash per model, the same everywhere in the report."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

# Okabe & Ito 2008, "Color universal design": told apart by people with any colour vision. Their
# yellow is left out (too faint on white), black softened and put last, since references are grey
# too; indigo and brown are ours, no nearer to the others than those are to each other.
COLOURS = (
  "#0072B2",
  "#D55E00",
  "#009E73",
  "#CC79A7",
  "#E69F00",
  "#56B4E9",
  "#332288",
  "#8B4513",
  "#4D4D4D",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
DASHES: tuple[Any, ...] = (
  "solid",
  (0, (5, 1.5)),
  (0, (1.2, 1.2)),
  (0, (6, 1.5, 1.2, 1.5)),
  (0, (9, 2)),
)
# How much white there is in a family's palest candidate, and how much black in its darkest.
PALEST, DARKEST = 0.45, 0.6

WRONG = "#C2410C"  # marks a wrong prediction, always together with a cross
INK = "#23262B"
PAPER = "#FFFFFF"
QUIET = "#6B7078"
RULE = "#D9DBDF"


@dataclasses.dataclass(frozen=True)
class Style:
  """How a model is drawn; colour never stands alone, marker and dash say the same."""

  colour: str
  marker: str
  dash: Any


def model_styles(
  models: Iterable[str],
  families: Mapping[str, Mapping[str, float]] | None = None,
  chosen: Mapping[str, str] | None = None,
) -> dict[str, Style]:
  """A style for each model, in the order in which they first appear.

  The candidates of a family have shades of its colour, the paler the smaller their number, and
  markers and dashes of their own; the chosen one is drawn like the family, whose name it bears.

  Args:
    models: the names, those that are most often compared first: colours run out.
    families: family -> {candidate: its number}; none of them takes a colour from the others.
    chosen: family -> the candidate that goes by its name.

  Returns:
    Name -> style, of the models, the families and the candidates.

  >>> styles = model_styles(["GR 1", "plain", "GR"], {"GR": {"GR 1": 1, "GR 9": 9}}, {"GR": "GR 9"})
  >>> styles["plain"].colour, styles["GR"].colour, styles["GR 9"].colour, styles["GR 1"].colour
  ('#0072B2', '#D55E00', '#D55E00', '#E8A673')
  """
  families, chosen = families or {}, chosen or {}
  candidates = {name for ours in families.values() for name in ours}
  named = dict.fromkeys(name for name in (*models, *families) if name not in candidates)
  places = {name: place for place, name in enumerate(named)}
  styles = {name: _style(place) for name, place in places.items()}
  for family, ours in families.items():
    ascending = sorted(ours, key=ours.__getitem__)
    middle = ascending.index(chosen[family])
    for rank, name in enumerate(ascending):
      pale = PALEST * (middle - rank) / max(middle, 1)
      dark = DARKEST * (rank - middle) / max(len(ascending) - 1 - middle, 1)
      shifted = _style(places[family], rank - middle)
      colour = _blend(shifted.colour, white=max(pale, 0), black=max(dark, 0))
      styles.setdefault(name, dataclasses.replace(shifted, colour=colour))
  return styles


def _style(place: int, shift: int = 0) -> Style:
  """The style at a place of the palette; the shift changes all but the colour."""
  return Style(
    COLOURS[place % len(COLOURS)],
    MARKERS[(place + shift) % len(MARKERS)],
    DASHES[(place + shift) % len(DASHES)],
  )


def _blend(colour: str, *, white: float, black: float) -> str:
  """A colour with these shares of white and black in it."""
  channels = (round((1 - white - black) * c + white * 255) for c in bytes.fromhex(colour[1:]))
  return "#" + "".join(f"{channel:02X}" for channel in channels)
