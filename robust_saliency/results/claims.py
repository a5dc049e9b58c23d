"""Claims: a paper's sentences, held against what a run measured, each with a verdict."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from robust_saliency.core import checks
from robust_saliency.results import means, participants, statistics
from robust_saliency.results.claims_table import (
  LOG_RATIO,
  OURS,
  PROBABILITY,
  Claim,
  read_claims,
  read_table,
)
from robust_saliency.results.estimate import (
  CONFIDENCE,
  FEW_NETWORKS,
  TEST_IMAGES,
  Estimate,
  no_number,
  what_over,
)
from robust_saliency.results.gates import why_not
from robust_saliency.results.power import networks_to_decide, seed_spread
from robust_saliency.results.published import Published
from robust_saliency.results.result import EXAMPLE, REFERENCES, REPEATED, SEED, Layout, Result
from robust_saliency.results.uncertainty import differences, divided, mean_of_known
from robust_saliency.results.verdicts import (
  EQUIVALENCE_CONFIDENCE,
  NO_VOTES,
  NOT_JUDGED,
  UNDECIDED,
  judge,
  judge_equivalence,
)

__all__ = [
  "OURS",
  "Claim",
  "Judged",
  "check_claim",
  "judge_claim",
  "measure",
  "not_measured",
  "read_claims",
  "read_table",
]

# What a gradient norm of 0 counts as where its logarithm is taken.
SMALLEST = float(np.finfo(np.float32).smallest_subnormal)


@dataclasses.dataclass(frozen=True)
class Judged:
  """A claim with what was measured.

  Attributes:
    claim: the row.
    verdict: in words.
    estimate: None where it was not measured.
    paper: the paper's own number as it is printed.
    agrees: whether ours is as near to it as our interval and its reading allow; None where there
      is no such number, or no interval.
    spread: the standard deviation of the claim's number over networks, NaN for too few of them.
    needed: how many networks would decide an undecided claim; None where that is not known, or
      none would.
    why_not: why the claim is not judged, where its study says so (`results.gates`).
  """

  claim: Claim
  verdict: str
  estimate: Estimate | None = None
  paper: str | None = None
  agrees: bool | None = None
  spread: float = np.nan
  needed: int | None = None
  why_not: str | None = None


def check_claim(claim: Claim, layouts: Mapping[str, Layout]) -> None:
  """Raises for a claim whose place is not in the arrays that the studies will give.

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
  if claim.among is not None and array in layouts[study].differences:
    raise ValueError(
      f"claim {claim.id!r} must not have among, since {claim.of} holds differences of two shares"
    )
  for name in filter(None, (array, claim.among)):
    for coordinates in (claim.at, {**claim.at, **(claim.minus or claim.over or {})}):
      try:
        free = layouts[study].free_axes(name, coordinates)
      except ValueError as error:
        raise ValueError(f"claim {claim.id!r}: {error}") from None
      unit = next((axis for axis in free if axis in REPEATED), SEED)
      if unit == REFERENCES and (EXAMPLE in free or claim.minus or claim.over):
        raise ValueError(
          f"claim {claim.id!r} must say at which {REFERENCES} of {claim.of}: one network is "
          "compared with all of them in a number per network, and neither minus nor over another"
        )
      is_exact = claim.statistic == PROBABILITY
      if free in (((),) if is_exact else ((unit, EXAMPLE), (unit,))):
        continue
      if not free:
        raise ValueError(
          f"claim {claim.id!r} must have the statistic {PROBABILITY!r}, since {claim.of} is one "
          "number of all networks"
        )
      missing = [axis for axis in free if is_exact or axis not in (unit, EXAMPLE)]
      raise ValueError(f"claim {claim.id!r} must say at which {', '.join(missing)} of {claim.of}")


@dataclasses.dataclass(frozen=True)
class _Values:
  """What a claim's number is taken from: of each network [S], or of each of its images [S, N]."""

  ours: np.ndarray
  theirs: np.ndarray | None
  among: np.ndarray | None
  their_among: np.ndarray | None


def measure(claim: Claim, results: Mapping[str, Result]) -> Estimate:
  """The claim's number and its interval."""
  assert claim.of is not None  # `_check_row` sees to it
  study, array = _place(claim.of)
  layout = results[study].layout
  return _estimate(
    claim,
    _values(claim, results),
    units=layout.units.get(array, TEST_IMAGES),
    images_each=layout.images_each.get(array, 1),
    beside=_is_beside_references(claim, layout),
    confidence=EQUIVALENCE_CONFIDENCE if claim.within is not None else CONFIDENCE,
  )


def of_each_network(claim: Claim, results: Mapping[str, Result]) -> np.ndarray:
  """The claim's number for each network by itself [S], NaN where it is none."""
  values = _values(claim, results)
  ours, theirs = values.ours, values.theirs
  if ours.ndim == 0:
    return ours[None]
  if ours.ndim == 1:
    return ours if theirs is None else _combined(claim, ours, theirs)
  if values.among is not None:
    share = divided((ours * values.among).sum(axis=1), values.among.sum(axis=1))
    if theirs is None or values.their_among is None:
      return share
    return share - divided(
      (theirs * values.their_among).sum(axis=1), values.their_among.sum(axis=1)
    )
  if theirs is None:
    return mean_of_known(ours)
  if claim.statistic == LOG_RATIO:
    return np.subtract(*(np.median(one, axis=1) for one in _logs(claim, ours, theirs)))
  if claim.statistic == "ratio":
    return divided(ours.sum(axis=1), theirs.sum(axis=1))
  return mean_of_known(differences(ours, theirs))


def _values(claim: Claim, results: Mapping[str, Result]) -> _Values:
  assert claim.of is not None
  study, array = _place(claim.of)
  result, other = results[study], claim.minus if claim.minus is not None else claim.over
  there = None if other is None else {**claim.at, **other}

  def at(name: str | None, place: Mapping[str, Any] | None) -> np.ndarray | None:
    if name is None or place is None:
      return None
    return np.asarray(result.at(name, **place), np.float64)

  ours, theirs = np.asarray(result.at(array, **claim.at), np.float64), at(array, there)
  if theirs is None and array in result.layout.differences:
    # The difference of two shares has an interval even where it is 0 for every image.
    theirs = np.zeros_like(ours)
  return _Values(ours, theirs, at(claim.among, claim.at), at(claim.among, there))


def _estimate(
  claim: Claim,
  values: _Values,
  *,
  units: str,
  images_each: int,
  beside: bool,
  confidence: float,
) -> Estimate:
  over: Any = {"units": units, "confidence": confidence}
  ours, theirs, among = values.ours, values.theirs, values.among
  if units == participants.PARTICIPANTS and ours.ndim == 1 and claim.over is None:
    if theirs is None:
      return participants.mean_share(ours, confidence=confidence)
    return participants.difference(ours, theirs, images_each=images_each, confidence=confidence)
  if claim.statistic == PROBABILITY:
    # Small ones speak for the claim, and large ones not against it: the interval has them all.
    chance = float(ours)
    return Estimate(chance, 0 * chance, chance, "all that chance could give", FEW_NETWORKS + 1)
  if ours.ndim == 1:
    of_networks = ours if theirs is None else _combined(claim, ours, theirs)
    mean = means.beside_references if beside else means.of_networks
    return mean(of_networks, confidence=confidence)
  if claim.statistic != "mean" and not (_finite(ours) and _finite(theirs)):
    networks, images = ours.shape
    return no_number(
      f"{what_over(networks, images, units)}; not all measured", networks, confidence
    )
  if among is not None and values.their_among is not None and theirs is not None:
    pairs = (ours * among, among), (theirs * values.their_among, values.their_among)
    return statistics.share_within_difference(*pairs, **over)
  if theirs is None:
    if claim.statistic == "mean":
      return means.mean(ours, **over)
    if among is not None:
      return statistics.share_within(ours * among, among, **over)
    if images_each > 1:
      return means.rate(ours, images_each=images_each, **over)
    return statistics.share(ours, **over)
  if claim.statistic == LOG_RATIO:
    return means.median_difference(*_logs(claim, ours, theirs), **over)
  if claim.statistic == "ratio":
    return statistics.share_ratio(ours, theirs, **over)
  if claim.statistic == "mean":
    return means.mean(differences(ours, theirs), **over)
  if images_each > 1:
    return means.rate_difference(ours, theirs, images_each=images_each, **over)
  return statistics.share_difference(ours, theirs, **over)


def judge_claim(
  claim: Claim, results: Mapping[str, Result], *, published: Published | None = None
) -> Judged:
  """Measures a claim, and says whether it holds.

  Args:
    claim: a row that `check_claim` has passed.
    results: the studies' results by name; a claim about one that is not there, since all of its
      networks have diverged, is undecided.
    published: the paper's numbers of this data set.
  """
  paper, number = claim.paper, None
  if paper is None and published is not None and claim.of is not None:
    place: Any = {
      "minus": claim.minus,
      "over": claim.over,
      "log_of_medians": claim.statistic == LOG_RATIO,
    }
    paper = published.text(claim.of, claim.at, **place)
    number = published.value(claim.of, claim.at, **place)
  if claim.of is None:
    return Judged(claim, not_measured(claim), None, paper)
  study, array = _place(claim.of)
  if study not in results:
    return Judged(claim, UNDECIDED, None, paper)
  if (wrong := _no_shares(claim, results[study].layout, _values(claim, results))) is not None:
    return Judged(claim, NOT_JUDGED, None, paper, why_not=wrong)
  estimate = measure(claim, results)
  places = (claim.at, {**claim.at, **(claim.minus or claim.over or {})})
  closed = why_not(results[study], array, *places)
  if closed is not None:
    return Judged(claim, NOT_JUDGED, estimate, paper, why_not=closed)
  verdict, distance = _verdict(claim, estimate)
  spread, needed = seed_spread(of_each_network(claim, results)), None
  more_would_tell = (
    claim.statistic != PROBABILITY
    and claim.undecided_by_design is None  # whatever was measured
    and not _is_beside_references(claim, results[study].layout)
  )
  if verdict == UNDECIDED and more_would_tell:
    values = _values(claim, results)
    images = np.inf if values.ours.ndim == 1 else values.ours.shape[1]
    needed = networks_to_decide(
      estimate,
      spread=spread,
      distance=distance,
      images=images,
      of_images=_added_by_images(claim, values),
    )
  return Judged(claim, verdict, estimate, paper, _agrees(estimate, number), spread, needed)


def _added_by_images(claim: Claim, values: _Values) -> float | None:
  """What images add to the variance of a mean over all; None of numbers that are no such mean."""
  ours, theirs = values.ours, values.theirs
  is_mean = ours.ndim == 2 and values.among is None and claim.statistic not in (LOG_RATIO, "ratio")
  if not is_mean:
    return None
  of_each = (ours if theirs is None else differences(ours, theirs)).mean(axis=0)
  if len(of_each) < 2 or not np.isfinite(of_each).all():
    return None
  return float(np.var(of_each, ddof=1) / len(of_each))


def _no_shares(claim: Claim, layout: Layout, values: _Values) -> str | None:
  """Why no share can be taken, where images have other numbers than shares are of."""
  _, array = _place(claim.of or "")
  of_images = values.ours.ndim == 2 and layout.images_each.get(array, 1) == 1
  if claim.statistic not in ("share", "ratio") or not of_images:
    return None
  allowed = (-1, 0, 1) if array in layout.differences else (0, 1)
  for numbers in dataclasses.astuple(values):
    if numbers is not None:
      others = numbers[np.isfinite(numbers) & ~np.isin(numbers, allowed)]
      if others.size:
        return (
          f"the statistic {claim.statistic!r} is of numbers {checks.listed(map(str, allowed))}, "
          f"and {claim.of} has {others[0]:.4g}; others take 'mean' or {LOG_RATIO!r}"
        )
  return None


def not_measured(claim: Claim) -> str:
  """The verdict on a claim that no run can measure, while nothing else has."""
  return NO_VOTES if claim.is_of_votes else f"needs {claim.needs}"


def _verdict(claim: Claim, estimate: Estimate) -> tuple[str, float]:
  """In words, and how far the number lies from the nearest threshold."""
  limits: tuple[float, ...]
  if claim.within is not None:
    limits = (claim.to - claim.within, claim.to + claim.within)
    shifted = estimate._replace(low=estimate.low - claim.to, high=estimate.high - claim.to)
    verdict = judge_equivalence(shifted, claim.within)
  else:
    relation, threshold = (
      (">=", claim.at_least) if claim.at_least is not None else ("<=", claim.at_most)
    )
    assert threshold is not None
    limits, verdict = (threshold,), judge(estimate, relation, threshold)
  if claim.undecided_by_design is not None:
    verdict = UNDECIDED
  return verdict, min(abs(estimate.value - limit) for limit in limits)


def _agrees(estimate: Estimate, number: tuple[float, float] | None) -> bool | None:
  """Whether a number of the paper is as near as half our interval and its own error."""
  half = (estimate.high - estimate.low) / 2
  if number is None or not np.isfinite(half):
    return None
  theirs, error = number
  return bool(abs(estimate.value - theirs) <= half + error)


def _logs(claim: Claim, ours: np.ndarray, theirs: np.ndarray) -> list[np.ndarray]:
  return [np.log10(np.maximum(one, claim.floor or SMALLEST)) for one in (ours, theirs)]


def _is_beside_references(claim: Claim, layout: Layout) -> bool:
  """Whether what is repeated are references of one and the same network."""
  _, array = _place(claim.of or "")
  return REFERENCES in layout.free_axes(array, claim.at)


def _place(of: str) -> tuple[str, str]:
  study, array = of.split(".")
  return study, array


def _combined(claim: Claim, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
  if claim.over is None:
    return ours - theirs
  with np.errstate(divide="ignore", invalid="ignore"):
    return np.log10(ours / theirs) if claim.statistic == LOG_RATIO else ours / theirs


def _finite(values: np.ndarray | None) -> bool:
  return values is None or bool(np.isfinite(values).all())
