"""The tables of a user study's section: by class, pairs, power, and what stands beside."""

from collections.abc import Mapping, Sequence

import numpy as np

from robust_saliency.drawing.formatting import number, percent, percent_range
from robust_saliency.drawing.section import Row, RowGroup, Table
from robust_saliency.results import power
from robust_saliency.results.estimate import Estimate
from robust_saliency.studies.votes.summary import TIMES, Summary

# A table of more rows is shown on demand.
MOST_ROWS = 12


def by_class(summary: Summary, caption: str, heading: str) -> Table:
  """Counts by the class of what was shown, those of several scores between strokes."""
  counts = [*summary.by_class.values()]
  return Table(
    caption=caption,
    columns=[heading, *summary.classes],
    groups=[
      RowGroup(
        [
          Row(
            name,
            [
              " / ".join(f"{int(of_score[c, k]):,}" for of_score in counts)
              for k in range(len(summary.classes))
            ],
          )
          for c, name in enumerate(names(summary))
        ]
      )
    ],
  )


def pairs(summary: Summary, titles: Mapping[str, str], caption: str) -> Table:
  """Differences of each two; `titles` has the scores, and what stands above them."""
  groups = [
    RowGroup(
      [
        Row(
          f"{pair.first} − {pair.second}",
          [
            _signed(pair.estimate.value),
            interval(pair.estimate),
            f"{pair.ours} : {pair.theirs}",
            *(p_value(pair.p), p_value(pair.p_holm)),
          ],
        )
        for pair in summary.scores[score].pairs
      ],
      title,
    )
    for score, title in titles.items()
  ]
  return Table(
    caption=(
      f"{caption} For : against counts participants. p: two-sided, exact, by the signs of "
      "participants’ differences; beside it as Holm adjusts it for all pairs of a score. The "
      "interval holds the differences that this test does not reject; fewer than six participants "
      "have none."
    ),
    columns=["Pair", "difference", "95 % interval", "for : against", "p", "p, Holm"],
    groups=groups,
    folded=sum(len(group.rows) for group in groups) > MOST_ROWS,
  )


def power_alone(summary: Summary, heading: str) -> Table:
  """What the participants of a forced choice could find."""
  return Table(
    caption=(
      f"What {people(summary.participants).lower()} could find: how far their shares lie apart "
      "(standard deviation, in points of per cent); the difference from a fixed share that is "
      f"found with a power of {power.ENOUGH:.0%}; and how many participants would tell the share "
      f"that was measured from chance, and from {TIMES} times all others, with that power."
    ),
    columns=[heading, "apart", "found", "needed: chance", f"needed: {TIMES} times"],
    groups=[
      RowGroup(
        [
          Row(
            alone.name,
            [
              *(percent(alone.spread), percent(alone.found)),
              *(_count(alone.needed[at]) for at in ("chance", "times")),
            ],
          )
          for alone in summary.scores["share"].alone
        ]
      )
    ],
  )


def power_of_pairs(summary: Summary, titles: Mapping[str, str]) -> Table:
  """What they could find of a difference between two networks."""
  return Table(
    caption=(
      f"What {people(summary.participants).lower()} could find: how far their differences lie "
      "apart (standard deviation, in points of per cent), the difference that is found with a "
      f"power of {power.ENOUGH:.0%}, and how many participants would find the one that was "
      "measured, with that power."
    ),
    columns=["Pair", "apart", "found", "needed"],
    groups=[
      RowGroup(
        [
          Row(
            f"{pair.first} − {pair.second}",
            [percent(pair.spread), percent(pair.found), _count(pair.needed)],
          )
          for pair in summary.scores[score].pairs
        ],
        title,
      )
      for score, title in titles.items()
    ],
  )


def beside(summary: Summary, heading: str) -> list[Table]:
  """What `gee` has found, or why it has not; no table where it was not asked."""
  found = summary.gee
  if not found:
    return []
  caption = (
    "Beside the tests above, and never a verdict: generalised estimating equations (logistic, "
    "participants as exchangeable clusters, bias-reduced covariance)."
  )
  reasons = {one.get("missing") for one in found.values()}
  if len(reasons) == 1 and None not in reasons:
    return [Table(caption, ["", "Why"], [RowGroup([Row("all", [*map(str, reasons)])])], prose=True)]
  rows = [
    Row(
      name,
      [str(one["missing"]), "", ""]
      if "missing" in one
      else [
        number(one["estimate"]),
        f"{number(one['low'])} to {number(one['high'])}",
        p_value(one["p"]),
      ],
    )
    for name, one in found.items()
  ]
  return [
    Table(
      caption=f"{caption} Differences of log odds.",
      columns=[heading, "log odds", "95 % interval", "p"],
      groups=[RowGroup(rows)],
      folded=len(rows) > MOST_ROWS,
    )
  ]


def places(summary: Summary) -> Table:
  """Where the pictures that were chosen had stood."""
  return Table(
    caption=(
      "Where the chosen picture stood, of all votes. The order was drawn anew for each question "
      "and participant, so that a habit of choosing a place favours nothing."
    ),
    columns=["Place", *(str(i + 1) for i in range(len(summary.places)))],
    groups=[RowGroup([Row("votes", [f"{count:,}" for count in summary.places])])],
  )


def names(summary: Summary) -> list[str]:
  """What is compared, in order."""
  return [alone.name for alone in next(iter(summary.scores.values())).alone]


def people(count: int) -> str:
  """How many participants, at the beginning of a sentence."""
  return "One participant" if count == 1 else f"{count} participants"


def interval(estimate: Estimate) -> str:
  """An interval in per cent, or why there is none."""
  if not (np.isfinite(estimate.low) and np.isfinite(estimate.high)):
    return estimate.over.partition("; ")[2] or "none"
  return percent_range(estimate.low, estimate.high).replace("-", "−")


def with_interval(estimate: Estimate) -> str:
  """A share in per cent with its interval in brackets."""
  return f"{percent(estimate.value)} ({interval(estimate)})"


def _signed(value: float) -> str:
  return f"{100 * value:+.1f}".replace("-", "−")


def _count(needed: int | None) -> str:
  return "n/a" if needed is None else f"{needed:,}"


def p_value(value: float | None) -> str:
  """A p-value with four decimals; nothing where there is none."""
  if value is None:
    return ""
  return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def refused(sentences: Sequence[str]) -> Table:
  """The files whose votes do not count, one sentence each."""
  rows = [Row(str(i + 1), [sentence]) for i, sentence in enumerate(sentences)]
  return Table(
    caption=f"Files whose votes do not count: {len(sentences)}.",
    columns=["File", "Why"],
    groups=[RowGroup(rows)],
    prose=True,
  )
