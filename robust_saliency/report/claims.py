"""The claims on the page: what this run measured, what the paper says, and the verdict.

Three tables: what the paper says of this data set, which alone is counted at the top; what it says
of others and was measured here too; and the experiment's own goals.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from robust_saliency.core import files
from robust_saliency.drawing.formatting import number, short
from robust_saliency.drawing.section import Sheet, Table
from robust_saliency.report.interval_drawing import Drawing, drawing
from robust_saliency.report.nearness import nearness_table
from robust_saliency.results import Estimate, verdicts
from robust_saliency.results.claims import Claim, Judged
from robust_saliency.results.nearness import Nearness
from robust_saliency.results.power import MOST_NETWORKS

# Each verdict's mark, a class of the style sheet.
MARKS = {
  verdicts.SUPPORTED: "supported",
  verdicts.REFUTED: "refuted",
  verdicts.HOLDS: "holds",
  verdicts.FAILS: "fails",
  verdicts.UNDECIDED: "undecided",
  verdicts.NOT_JUDGED: "open",
  verdicts.NO_VOTES: "open",
  "needs a benchmark": "open",
}
PLURALS = {verdicts.HOLDS: "hold in this run", verdicts.FAILS: "fail in this run"}
WITHIN = "within"
# Which table a claim stands in.
PAPER, OTHERS, GOALS = "paper", "other data sets", "goals"


@dataclasses.dataclass(frozen=True)
class ClaimRow:
  """A claim as the page prints it."""

  anchor: str
  name: str
  statement: str
  source: str
  value: str
  interval: str
  drawing: Drawing | None
  threshold: str
  paper: str
  agreement: str  # "agrees" or "differs", nothing where the paper gives no number
  power: str  # how far networks lie apart, and how many would decide it
  verdict: str
  mark: str  # one of `MARKS`' values
  notes: tuple[str, ...]
  section: tuple[str, str] | None  # the anchor and title of the section with its study


@dataclasses.dataclass(frozen=True)
class ClaimsTable:
  """One of the three tables: its heading, a sentence, and (claim of the paper, its rows)."""

  heading: str
  tally: str
  groups: Sequence[tuple[str, Sequence[ClaimRow]]]

  @property
  def has_paper(self) -> bool:
    """Whether anything stands in the column of the paper's own numbers."""
    return any(row.paper for _, rows in self.groups for row in rows)


@dataclasses.dataclass(frozen=True)
class ClaimsPart:
  """The part of the page: its first sentence, how near the run is to the paper, and the tables."""

  tally: str
  nearness: Table | None
  tables: Sequence[ClaimsTable]

  def rows(self) -> list[ClaimRow]:
    """All rows, in the order of the page."""
    return [row for table in self.tables for _, of_group in table.groups for row in of_group]

  def about(self, section: str) -> list[ClaimRow]:
    """The rows that rest on the section with this anchor."""
    return [row for row in self.rows() if row.section and row.section[0] == section]

  def verdicts(self) -> dict[str, str]:
    """Each verdict that occurs -> its mark, in the order of `MARKS`."""
    given = {row.verdict for row in self.rows()}
    return {verdict: mark for verdict, mark in MARKS.items() if verdict in given}


def part(
  claims: Sequence[Judged],
  *,
  dataset: str,
  nearness: Sequence[Nearness] = (),
  sections: Mapping[str, tuple[str, str]] | None = None,
) -> ClaimsPart:
  """What the page says of the claims.

  Args:
    claims: in the order of their table.
    dataset: on which they were judged.
    nearness: how near the run is to the paper's own numbers.
    sections: study -> the anchor and title of its section.

  Raises:
    ValueError: for a verdict that there is not.

  >>> part([], dataset="mnist").tally
  'This experiment makes no claims.'
  """
  for judged in claims:
    if judged.verdict not in MARKS:
      raise ValueError(
        f"the verdict of the claim {judged.claim.id!r} must be one of {', '.join(MARKS)}; "
        f"got {judged.verdict!r}"
      )
  of = {table: [one for one in claims if _table(one, dataset) == table] for table in _headings("")}
  slugs = files.unique_slugs([judged.claim.id for judged in claims])
  anchors = {id(judged): f"claim-{slug}" for judged, slug in zip(claims, slugs, strict=True)}
  goals = of[GOALS] and not of[PAPER] + of[OTHERS]
  headline = GOALS if goals else PAPER
  return ClaimsPart(
    tally=tally(of[headline], headline, dataset) if claims else "This experiment makes no claims.",
    nearness=nearness_table(nearness, dataset) if nearness else None,
    tables=[
      ClaimsTable(
        heading,
        tally(of[table], table, dataset),
        [
          (name, [_row(one, dataset, anchors[id(one)], sections or {}) for one in ours])
          for name, ours in _groups(of[table], table)
        ],
      )
      for table, heading in _headings(dataset).items()
      if of[table]
    ],
  )


def tally(claims: Sequence[Judged], table: str, dataset: str) -> str:
  """The verdicts of a table, counted in words.

  >>> tally([], PAPER, "digits")
  'The paper makes no claims about digits.'
  """
  many = len(claims) != 1
  words = {
    PAPER: f"The paper makes {len(claims) or 'no'} claim{'s' * many} about {dataset}",
    OTHERS: f"{len(claims)} claim{'s' * many} of the paper about other data sets",
    GOALS: f"{len(claims)} goal{'s' * many} of this experiment",
  }[table]
  exploratory = sum(one.claim.exploratory for one in claims)
  rest = f"; {exploratory} of them exploratory" if exploratory else ""
  if not claims:
    return f"{words}."
  numbers = [one.agrees for one in claims if one.agrees is not None]
  agreement = f" Of {len(numbers)} numbers of the paper’s {sum(numbers)} agree with ours."
  return f"{words}: {_counted(claims)}{rest}.{agreement if numbers else ''}"


def sheet(claims: Sequence[Judged], *, dataset: str) -> Sheet:
  """All that is known of all claims."""
  of_claim = [
    *("id", "says", "where", "of", "statistic", "since", "exploratory", "undecided_by_design")
  ]
  header = [*of_claim, "table", *Estimate._fields, "relation", "threshold", "to", "paper"]
  header += ["agrees", "seed_spread", "networks_needed", "verdict"]
  rows = [
    [
      *(getattr(one.claim, name) for name in of_claim),
      _table(one, dataset),
      *(one.estimate or [None] * len(Estimate._fields)),
      *_limit(one.claim),
      one.claim.to if one.claim.within is not None else None,
      one.paper,
      one.agrees,
      one.spread if math.isfinite(one.spread) else None,
      one.needed,
      one.verdict,
    ]
    for one in claims
  ]
  return Sheet("claims", header, rows)


def threshold(relation: str | None, limit: float | None, to: float | None) -> str:
  """What a claim's number is held against, as people read it.

  Args:
    relation: ">=", "<=" or "within", as in a row of `sheet`.
    limit: the row's threshold; None for a claim that has none.
    to: what the number is to be near; None for another relation, or where that was not kept.

  >>> threshold(">=", 0.25, None), threshold("within", 3.0, 40.6), threshold(None, None, None)
  ('≥ 0.25', '40.6 ± 3', '')
  """
  if limit is None:
    return ""
  if relation == WITHIN:
    return f"{'' if to is None else short(to)} ± {short(limit)}".strip()
  return f"{'≥' if relation == '>=' else '≤'} {short(limit)}"


def _headings(dataset: str) -> dict[str, str]:
  return {
    PAPER: f"What the paper says of {dataset}",
    OTHERS: "What the paper says of other data sets, measured here too",
    GOALS: "Goals of this experiment",
  }


def _table(judged: Judged, dataset: str) -> str:
  if judged.claim.is_ours:
    return GOALS
  return PAPER if judged.claim.is_about(dataset) else OTHERS


def _groups(claims: Sequence[Judged], table: str) -> Iterator[tuple[str, Sequence[Judged]]]:
  """The claims by the first word of their ids, the paper's claim; goals are all of one group."""
  names = dict.fromkeys("" if table == GOALS else one.claim.id.split()[0] for one in claims)
  for name in names:
    ours = [one for one in claims if table == GOALS or one.claim.id.split()[0] == name]
    yield f"{name}: {_counted(ours)}" if len(ours) > 1 and name else name, ours


def _counted(claims: Sequence[Judged]) -> str:
  counts = Counter(one.verdict for one in claims)
  return ", ".join(
    f"{count} {verdict if count == 1 else PLURALS.get(verdict, verdict)}"
    for verdict in MARKS
    if (count := counts[verdict])
  )


def _row(
  judged: Judged, dataset: str, anchor: str, sections: Mapping[str, tuple[str, str]]
) -> ClaimRow:
  claim, estimate = judged.claim, judged.estimate
  notes = []
  if claim.exploratory:
    when = f" on {claim.since}" if claim.since else ""
    notes.append(
      f"Exploratory: its threshold was chosen{when}, when numbers of {dataset} had been seen."
    )
  if claim.is_of_benchmark and claim.of is not None and estimate is None:
    file = f"benchmarks/results/{claim.of.split('.')[0]}.json"
    notes.append(f"Not measured: {file} is not beside this experiment.")
  if judged.why_not is not None:
    notes.append(f"Not judged: {judged.why_not}.")
  if claim.undecided_by_design is not None:
    notes.append(f"Undecided by design: {claim.undecided_by_design}")
  return ClaimRow(
    anchor=anchor,
    name=claim.id,
    statement=claim.says,
    source=claim.where,
    value="not measured" if estimate is None else number(estimate.value),
    interval="" if estimate is None else _interval(estimate),
    drawing=None if estimate is None else _drawing(claim, estimate),
    threshold=threshold(*_limit(claim), claim.to),
    paper=judged.paper or ("" if claim.is_ours else "none given"),
    agreement={None: "", True: "agrees", False: "differs"}[judged.agrees],
    power=_power(judged),
    verdict=judged.verdict,
    mark=MARKS[judged.verdict],
    notes=tuple(notes),
    section=None if claim.of is None else sections.get(claim.of.split(".")[0]),
  )


def _limit(claim: Claim) -> tuple[str | None, float | None]:
  """The relation and the number that ours is held against."""
  if claim.at_least is not None:
    return ">=", claim.at_least
  if claim.at_most is not None:
    return "<=", claim.at_most
  return (WITHIN, claim.within) if claim.within is not None else (None, None)


def _interval(estimate: Estimate) -> str:
  over = f"{100 * estimate.confidence:g} % over {estimate.over}"
  if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
    return f"no interval ({over})"
  return f"{number(estimate.low)} to {number(estimate.high)}, {over}"


def _drawing(claim: Claim, estimate: Estimate) -> Drawing | None:
  relation, limit = _limit(claim)
  if relation is None or limit is None:
    return None
  limits = (claim.to - limit, claim.to + limit) if relation == WITHIN else (limit,)
  return drawing(estimate, relation, limits)


def _power(judged: Judged) -> str:
  """How far networks lie apart, and of an undecided claim how many would decide it."""
  estimate = judged.estimate
  if estimate is None or not math.isfinite(judged.spread):
    return ""
  of = "Participants" if judged.claim.is_of_votes else "Networks"
  apart = f"{of} lie {number(judged.spread)} apart (standard deviation)"
  if judged.verdict != verdicts.UNDECIDED or judged.claim.undecided_by_design is not None:
    return f"{apart}."
  if judged.needed is None:
    return f"{apart}; not even {MOST_NETWORKS:,} of them would decide it as it stands."
  return f"{apart}; about {judged.needed} of them would decide it."
