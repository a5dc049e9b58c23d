"""Claims: a paper's sentences as rows of a table, held against what a run measured.

A row says where a number stands (an array of a study, and coordinates on its axes), what it is
compared with, how it is summed up, and a threshold; whatever else a paper claims is an array that a
study computes for every network. `for_each` writes a row once for several coordinates.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from robust_saliency.core import checks
from robust_saliency.core.settings import NonNegative, Positive, read
from robust_saliency.results import means, statistics
from robust_saliency.results.estimate import CONFIDENCE, TEST_IMAGES, Estimate
from robust_saliency.results.published import Published
from robust_saliency.results.result import EXAMPLE, SEED, Layout, Result
from robust_saliency.results.verdicts import EQUIVALENCE_CONFIDENCE, judge, judge_equivalence

OURS = "ours"
# What a gradient norm of 0 counts as where its logarithm is taken.
SMALLEST = float(np.finfo(np.float32).smallest_subnormal)


@dataclasses.dataclass(frozen=True)
class Claim:
  """One row of a claims table.

  Attributes:
    id: unique in the table ("C1").
    says: the claim, a sentence.
    where: where the paper says it ("figure 1").
    about: the data sets of which the paper says it, all of them where there is none; or "ours" for
      a goal of this experiment that no paper states.
    of: study and array, "FGSM.correct".
    at: coordinates on the array's axes, all but those of seeds and examples.
    minus: coordinates, where they differ from `at`, of what is subtracted.
    over: likewise, of what it is divided by.
    among: an array of the same axes: only where it holds does an example count.
    statistic: what is taken over seeds and examples.
    floor: what a smaller number counts as where logarithms are taken.
    at_least: the claim holds from here up.
    at_most: the claim holds from here down.
    within: the claim holds where the number is nearer to `to` than this.
    to: see `within`.
    paper: the paper's own number, as printed; where it is missing, that of the published table.
    since: the date on which the row was written, "2026-11-26".
    exploratory: whether its threshold was chosen when data had been seen.
    undecided_by_design: why this scale cannot decide it.
    needs: what no run can measure.
    for_each: name -> values; "{name}" in the other fields stands for each of them in turn.
    on: data set -> fields that are different there.
  """

  id: str
  says: str
  where: str = "this experiment"
  about: tuple[str, ...] = ()
  of: str | None = None
  at: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  minus: Mapping[str, Any] | None = None
  over: Mapping[str, Any] | None = None
  among: str | None = None
  statistic: Literal["share", "mean", "ratio", "log ratio of medians"] = "mean"
  floor: Positive | None = None
  at_least: float | None = None
  at_most: float | None = None
  within: NonNegative | None = None
  to: float = 0.0
  paper: str | None = None
  since: str | None = None
  exploratory: bool = False
  undecided_by_design: str | None = None
  needs: Literal["votes", "a benchmark"] | None = None
  for_each: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)
  on: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

  def is_about(self, dataset: str) -> bool:
    """Whether the paper says this of the data set."""
    return not self.about or dataset in self.about

  @property
  def is_ours(self) -> bool:
    """Whether no paper says it."""
    return self.about == (OURS,)


@dataclasses.dataclass(frozen=True)
class Judged:
  """A claim with what was measured: the estimate is None where no run can measure it."""

  claim: Claim
  verdict: str
  estimate: Estimate | None = None
  paper: str | None = None


def read_claims(rows: Sequence[Mapping[str, Any]], *, dataset: str) -> list[Claim]:
  """The claims of a table, for one data set.

  Args:
    rows: as TOML gives them, the fields of `Claim`.
    dataset: whose `on` takes effect.

  Raises:
    ValueError, TypeError: for a field or a value that is not allowed, or two rows of one id.

  >>> [claim.id for claim in read_claims([{
  ...   "id": "C1 {source}", "says": "It transfers from {source}.", "of": "FGSM.correct",
  ...   "at": {"source": "{source}"}, "at_least": 0.2, "for_each": {"source": ["a", "b"]}}],
  ...   dataset="mnist")]
  ['C1 a', 'C1 b']
  """
  claims: dict[str, Claim] = {}
  for i, row in enumerate(rows):
    where = f"claim {row['id']!r}" if isinstance(row, Mapping) and "id" in row else f"claims[{i}]"
    whole: Claim = read(Claim, row, where)
    adapted = {**row, **whole.on.get(dataset, {})}
    for filled in _each(adapted, whole.for_each):
      claim: Claim = read(Claim, filled, where)
      _check_row(claim, where)
      if claim.id in claims:
        raise ValueError(f"claims must have an id each, got two of {claim.id!r}")
      claims[claim.id] = claim
  return list(claims.values())


def check_claim(claim: Claim, layouts: Mapping[str, Layout]) -> None:
  """Refuses a claim whose place is not in the arrays that the studies will give.

  Args:
    claim: a row.
    layouts: study -> the axes of its arrays.

  Raises:
    ValueError: for a study, an array, an axis or a coordinate that there is not, or one that is
      missing.
  """
  if claim.of is None:
    return
  study, array = _place(claim.of)
  checks.one_of(study, layouts, argument=f"study of claim {claim.id!r}")
  for name in filter(None, (array, claim.among)):
    for coordinates in (claim.at, {**claim.at, **(claim.minus or claim.over or {})}):
      try:
        free = layouts[study].free_axes(name, coordinates)
      except ValueError as error:
        raise ValueError(f"claim {claim.id!r}: {error}") from None
      if free not in ((SEED, EXAMPLE), (SEED,)):
        missing = ", ".join(axis for axis in free if axis not in (SEED, EXAMPLE))
        raise ValueError(f"claim {claim.id!r} must say at which {missing} of {claim.of}")


def measure(claim: Claim, results: Mapping[str, Result]) -> Estimate:
  """The claim's number and its interval."""
  assert claim.of is not None  # `_check_row` sees to it
  study, array = _place(claim.of)
  result, other = results[study], claim.minus if claim.minus is not None else claim.over
  layout = result.layout
  values = np.asarray(result.at(array, **claim.at), np.float64)
  theirs = (
    None if other is None else np.asarray(result.at(array, **{**claim.at, **other}), np.float64)
  )
  if theirs is None and array in layout.differences:
    # The difference of two shares has an interval even where it is 0 for every image.
    theirs = np.zeros_like(values)
  among = None if claim.among is None else result.at(claim.among, **claim.at)
  return _estimate(
    claim,
    values,
    theirs,
    among,
    units=layout.units.get(array, TEST_IMAGES),
    images_each=layout.images_each.get(array, 1),
    confidence=EQUIVALENCE_CONFIDENCE if claim.within is not None else CONFIDENCE,
  )


def _estimate(
  claim: Claim,
  ours: np.ndarray,
  theirs: np.ndarray | None,
  among: np.ndarray | None,
  *,
  units: str,
  images_each: int,
  confidence: float,
) -> Estimate:
  over: Any = {"units": units, "confidence": confidence}
  if ours.ndim == 1:
    of_networks = ours if theirs is None else _combined(claim, ours, theirs)
    return means.of_networks(of_networks, confidence=confidence)
  if theirs is None:
    if claim.statistic == "mean":
      return means.mean(ours, **over)
    if among is not None:
      return statistics.share_within(ours * among, among, **over)
    if images_each > 1:
      return means.rate(ours, images_each=images_each, **over)
    return statistics.share(ours, **over)
  if claim.statistic == "log ratio of medians":
    logs = [np.log10(np.maximum(one, claim.floor or SMALLEST)) for one in (ours, theirs)]
    return means.median_difference(*logs, **over)
  if claim.statistic == "ratio":
    return statistics.share_ratio(ours, theirs, **over)
  if claim.statistic == "mean":
    return means.mean(ours - theirs, **over)
  if images_each > 1:
    return means.rate_difference(ours, theirs, images_each=images_each, **over)
  return statistics.share_difference(ours, theirs, **over)


def judge_claim(
  claim: Claim, results: Mapping[str, Result], *, published: Published | None = None
) -> Judged:
  """Measures a claim, and says whether it holds.

  Args:
    claim: a row that `check_claim` has passed.
    results: the studies' results by name.
    published: the paper's numbers of this data set.
  """
  paper = claim.paper
  if paper is None and published is not None and claim.of is not None:
    paper = published.text(claim.of, claim.at, minus=claim.minus, over=claim.over)
  if claim.of is None:
    return Judged(claim, f"needs {claim.needs}", None, paper)
  estimate = measure(claim, results)
  if claim.within is not None:
    shifted = estimate._replace(low=estimate.low - claim.to, high=estimate.high - claim.to)
    return Judged(claim, judge_equivalence(shifted, claim.within), estimate, paper)
  relation, threshold = (
    (">=", claim.at_least) if claim.at_least is not None else ("<=", claim.at_most)
  )
  assert threshold is not None
  return Judged(claim, judge(estimate, relation, threshold), estimate, paper)


def _check_row(claim: Claim, where: str) -> None:
  if (claim.of is None) == (claim.needs is None):
    raise ValueError(f"{where} needs either the field 'of' or the field 'needs'")
  limits = [name for name in ("at_least", "at_most", "within") if getattr(claim, name) is not None]
  if len(limits) != (claim.of is not None):
    given = " and ".join(limits) or "none"
    raise ValueError(f"{where} needs one of at_least, at_most and within, got {given}")
  if claim.minus is not None and claim.over is not None:
    raise ValueError(f"{where} must have minus or over, got both")
  if (claim.statistic in ("ratio", "log ratio of medians")) != (claim.over is not None):
    raise ValueError(
      f"{where} must have over where its statistic is a ratio, and nowhere else; "
      f"got statistic {claim.statistic!r}"
    )
  if claim.of is not None and len(claim.of.split(".")) != 2:
    raise ValueError(f"{where}: of must be STUDY.ARRAY, got {claim.of!r}")


def _place(of: str) -> tuple[str, str]:
  study, array = of.split(".")
  return study, array


def _combined(claim: Claim, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
  if claim.over is None:
    return ours - theirs
  with np.errstate(divide="ignore", invalid="ignore"):
    return np.log10(ours / theirs) if claim.statistic.startswith("log") else ours / theirs


def _each(
  row: Mapping[str, Any], for_each: Mapping[str, tuple[Any, ...]]
) -> Iterator[Mapping[str, Any]]:
  rest = {name: value for name, value in row.items() if name != "for_each"}
  for values in itertools.product(*for_each.values()):
    yield _filled(rest, dict(zip(for_each, values, strict=True)))


def _filled(value: Any, names: Mapping[str, Any]) -> Any:
  """A part of a row with its "{name}" replaced; one that is nothing else keeps its type."""
  if isinstance(value, Mapping):
    return {key: _filled(one, names) for key, one in value.items()}
  if isinstance(value, (list, tuple)):
    return [_filled(one, names) for one in value]
  if isinstance(value, str):
    for name, one in names.items():
      if value == f"{{{name}}}":
        return one
      value = value.replace(f"{{{name}}}", str(one))
  return value
