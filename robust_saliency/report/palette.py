"""One colour, marker and dash per model, the same everywhere in the report."""

import dataclasses
from collections.abc import Iterable
from typing import Any

# Okabe & Ito 2008, "Color universal design": told apart by people with any colour vision. Their
# yellow is left out (too faint on white) and black softened.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#4D4D4D")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
DASHES: tuple[Any, ...] = (
  "solid",
  (0, (5, 1.5)),
  (0, (1.2, 1.2)),
  (0, (6, 1.5, 1.2, 1.5)),
  (0, (9, 2)),
)

WRONG = "#C2410C"  # marks a wrong prediction, always together with a cross
INK = "#23262B"
QUIET = "#6B7078"
RULE = "#D9DBDF"


@dataclasses.dataclass(frozen=True)
class Style:
  """How a model is drawn; colour never stands alone, marker and dash say the same."""

  colour: str
  marker: str
  dash: Any


def model_styles(models: Iterable[str]) -> dict[str, Style]:
  """A style for each model, in the order in which they first appear.

  >>> styles = model_styles(["standard", "pgd", "standard"])
  >>> styles["standard"].colour, styles["pgd"].colour
  ('#0072B2', '#D55E00')
  """
  return {
    model: Style(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])
    for i, model in enumerate(dict.fromkeys(models))
  }
