"""The claims table: what the paper says, what this run measured, and the verdict."""

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence

from robust_saliency.drawing.formatting import number, short
from robust_saliency.drawing.section import Sheet
from robust_saliency.results import verdicts
from robust_saliency.studies.claims import NEEDS, ClaimResult

# Each verdict's mark, a class of the style sheet.
MARKS = {
  verdicts.SUPPORTED: "supported",
  verdicts.REFUTED: "refuted",
  verdicts.HOLDS: "holds",
  verdicts.FAILS: "fails",
  verdicts.UNDECIDED: "undecided",
  **{f"needs {what}": "open" for what in NEEDS},
}
PLURALS = {verdicts.HOLDS: "hold in this run", verdicts.FAILS: "fail in this run"}
# The small drawing of interval and threshold: its width, and the margin where nothing is drawn.
DRAWING_WIDTH, DRAWING_MARGIN = 132.0, 8.0


@dataclasses.dataclass(frozen=True)
class Drawing:
  """Where the parts of a claim's drawing lie, in its own units from the left."""

  low: float
  value: float
  high: float
  threshold: float
  side: float  # where the claim's side of the threshold begins
  side_width: float


@dataclasses.dataclass(frozen=True)
class ClaimRow:
  """A claim as the page prints it."""

  statement: str
  source: str
  paper_value: str
  value: str
  interval: str
  threshold: str
  scale: str
  verdict: str
  mark: str  # one of `MARKS`' values
  drawing: Drawing | None


def rows(claims: Sequence[ClaimResult]) -> list[ClaimRow]:
  """The table's rows, in the order of the config."""
  for claim in claims:
    if claim.verdict not in MARKS:
      raise ValueError(
        f"the verdict of the claim {claim.statement!r} must be one of {', '.join(MARKS)}; "
        f"got {claim.verdict!r}"
      )
  return [
    ClaimRow(
      statement=claim.statement,
      source=claim.source,
      paper_value=claim.paper_value or "none given",
      value="not measured" if claim.value is None else number(claim.value),
      interval=_interval(claim),
      threshold=_threshold(claim),
      scale=claim.scale,
      verdict=claim.verdict,
      mark=MARKS[claim.verdict],
      drawing=_drawing(claim),
    )
    for claim in claims
  ]


def tally(claims: Sequence[ClaimResult]) -> str:
  """The verdicts counted, in words.

  >>> tally([])
  'This experiment makes no claims.'
  """
  if not claims:
    return "This experiment makes no claims."
  counts = Counter(claim.verdict for claim in claims)
  parts = [
    f"{count} {verdict if count == 1 else PLURALS.get(verdict, verdict)}"
    for verdict in MARKS
    if (count := counts[verdict])
  ]
  return f"{len(claims)} {'claim' if len(claims) == 1 else 'claims'}: {', '.join(parts)}."


def sheet(claims: Sequence[ClaimResult]) -> Sheet:
  """All fields of all claims."""
  header = [field.name for field in dataclasses.fields(ClaimResult)]
  return Sheet("claims", header, [[getattr(claim, name) for name in header] for claim in claims])


def _threshold(claim: ClaimResult) -> str:
  if claim.threshold is None:
    return ""
  return f"{'≥' if claim.relation == '>=' else '≤'} {short(claim.threshold)}"


def _interval(claim: ClaimResult) -> str:
  if claim.value is None or claim.low is None or claim.high is None:
    return ""
  if not (math.isfinite(claim.low) and math.isfinite(claim.high)):
    return f"no interval ({claim.interval})" if claim.interval else "no interval"
  return f"{number(claim.low)} to {number(claim.high)}, {claim.interval}"


def _drawing(claim: ClaimResult) -> Drawing | None:
  low, value, high, limit = claim.low, claim.value, claim.high, claim.threshold
  if low is None or value is None or high is None or limit is None:
    return None
  ends = (low, value, high, limit)
  if not all(map(math.isfinite, ends)):
    return None
  start, width = min(ends), max(ends) - min(ends)
  room = DRAWING_WIDTH - 2 * DRAWING_MARGIN

  def place(number: float) -> float:
    share = (number - start) / width if width > 0 else 0.5
    return round(DRAWING_MARGIN + room * share, 1)

  threshold = place(limit)
  above = claim.relation == ">="
  return Drawing(
    low=place(low),
    value=place(value),
    high=place(high),
    threshold=threshold,
    side=threshold if above else 0.0,
    side_width=round(DRAWING_WIDTH - threshold, 1) if above else threshold,
  )
