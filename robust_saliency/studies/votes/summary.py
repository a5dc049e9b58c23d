"""What votes say: shares, tests and power with participants as the unit, as numbers.

The page prints them, and a file keeps them in full precision.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency.core import checks
from robust_saliency.results import participants, power
from robust_saliency.results.estimate import Estimate
from robust_saliency.results.result import SEED, Result
from robust_saliency.studies.votes.questionnaire import DESIGNS, FORCED_CHOICE
from robust_saliency.studies.votes.tally import FOOLED, REASONABLE, SCORES

# NormLIME's claim: 1.3 times the votes of all others together.
TIMES = 1.3
SHARE_OF_TIMES = TIMES / (1 + TIMES)


@dataclasses.dataclass(frozen=True)
class Alone:
  """One method or network.

  Attributes:
    name: its name.
    count: of votes, or of images that count.
    estimate: the mean of participants' shares, with Student's interval.
    spread: the standard deviation over participants.
    found: the difference from a fixed share that is found with `power.ENOUGH`.
    needed: a fixed share's name -> how many participants tell the measured one from it.
    p: exact, two-sided, against chance; None where there is none.
    p_holm: the same as Holm adjusts it.
  """

  name: str
  count: int
  estimate: Estimate
  spread: float
  found: float
  needed: Mapping[str, int | None] = dataclasses.field(default_factory=dict)
  p: float | None = None
  p_holm: float | None = None


@dataclasses.dataclass(frozen=True)
class Pair:
  """Two of them.

  Attributes:
    first: whose share counts as positive.
    second: whose share is subtracted.
    estimate: the mean difference, with the interval of the test by signs.
    ours: how many participants favour the first.
    theirs: how many the second.
    p: exact, two-sided, by the signs of participants' differences.
    p_holm: the same as Holm adjusts it for all pairs of a score.
    spread: the standard deviation of participants' differences.
    found: the difference that is found with `power.ENOUGH`.
    needed: how many participants would find the difference that was measured.
  """

  first: str
  second: str
  estimate: Estimate
  ours: int
  theirs: int
  p: float
  p_holm: float
  spread: float
  found: float
  needed: int | None


@dataclasses.dataclass(frozen=True)
class Score:
  """All that one score says."""

  alone: tuple[Alone, ...]
  pairs: tuple[Pair, ...]


@dataclasses.dataclass(frozen=True)
class Summary:
  """All that votes say.

  Attributes:
    design: of `DESIGNS`.
    participants: how many.
    each: questions, or images of one network, that each of them answered.
    scores: "share" of a forced choice; "fooled", "reasonable" and "none_plausible" of labels.
    by_class: score -> counts [compared, class shown].
    classes: the names of the classes shown.
    places: how often the picture in each place was chosen, of a forced choice.
    gee: what was found beside, see `gee.compare`.
  """

  design: str
  participants: int
  each: int
  scores: Mapping[str, Score]
  by_class: Mapping[str, np.ndarray]
  classes: tuple[str, ...]
  places: tuple[int, ...]
  gee: Mapping[str, Mapping[str, Any]]

  def as_json(self) -> dict[str, Any]:
    """As fields, lists, text and numbers; those that are not finite become null in a file."""
    fields = dataclasses.asdict(self)
    for score in fields["scores"].values():
      for one in (*score["alone"], *score["pairs"]):
        estimate = one.pop("estimate")
        one |= {name: getattr(estimate, name) for name in ("value", "low", "high", "over")}
    return fields


def summarise(result: Result) -> Summary:
  """Tests and intervals of a tally.

  Args:
    result: of `tally`, perhaps with `gee` in its metadata.

  Raises:
    ValueError: for arrays that are of no tally.
  """
  metadata, coordinates = result.metadata, result.layout.coordinates
  design, axis = metadata["design"], metadata["axis"]
  checks.one_of(design, DESIGNS, argument="design")
  compared, people = coordinates[axis], len(coordinates[SEED])
  about: dict[str, Any] = {
    "design": design, "participants": people, "gee": metadata.get("gee", {})
  }  # fmt: skip
  if design == FORCED_CHOICE:
    chosen = result.arrays["chosen"].astype(np.int64)
    labels = np.asarray(metadata["labels"])
    shown = sorted(set(labels.tolist()))
    by_class = np.stack([chosen[:, labels == one].sum(axis=(1, 2)) for one in shown], axis=1)
    places = np.bincount(result.arrays["place"].ravel(), minlength=len(compared))
    return Summary(
      **about,
      each=chosen.shape[1],
      scores={"share": _score(compared, chosen.sum(axis=1), chosen.shape[1], forced=True)},
      by_class={"share": by_class},
      classes=tuple(str(metadata["classes"][one]) for one in shown),
      places=tuple(places.tolist()),
    )
  at = {name: result.arrays[f"{name}_at"].astype(np.int64) for name in SCORES}
  each = len(coordinates["class"])
  return Summary(
    **about,
    each=each,
    scores={name: _score(compared, one.sum(axis=1), each) for name, one in at.items()},
    by_class={name: at[name].sum(axis=2) for name in (FOOLED, REASONABLE)},
    classes=tuple(map(str, coordinates["class"])),
    places=(),
  )


def _score(
  compared: Sequence[str], counts: np.ndarray, each: int, *, forced: bool = False
) -> Score:
  """Of counts [compared, participant] of so many questions or images each."""
  people, chance = counts.shape[1], 1 / len(compared)
  fixed = {"chance": chance, "times": SHARE_OF_TIMES} if forced else {}
  p_values = np.array(
    [float(participants.label_permutation(counts.T, c)) for c in range(len(compared) * forced)]
  )
  adjusted = participants.holm(p_values)
  alone = []
  for c, (name, of_people) in enumerate(zip(compared, counts / each, strict=True)):
    spread = power.seed_spread(of_people)
    mean = float(of_people.mean())
    alone.append(
      Alone(
        name=name,
        count=int(counts[c].sum()),
        estimate=participants.mean_share(of_people),
        spread=spread,
        found=power.smallest_found(spread=spread, units=people),
        needed={at: power.units_needed(mean - place, spread=spread) for at, place in fixed.items()},
        p=float(p_values[c]) if forced else None,
        p_holm=float(adjusted[c]) if forced else None,
      )
    )
  return Score(tuple(alone), tuple(_pairs(compared, counts, each)))


def _pairs(compared: Sequence[str], counts: np.ndarray, each: int) -> list[Pair]:
  places = list(itertools.combinations(range(len(compared)), 2))
  p_values = [float(participants.sign_flips(counts[a] - counts[b])) for a, b in places]
  found = []
  for (a, b), p, adjusted in zip(places, p_values, participants.holm(p_values), strict=True):
    apart = (counts[a] - counts[b]) / each
    spread = power.seed_spread(apart)
    found.append(
      Pair(
        first=compared[a],
        second=compared[b],
        estimate=participants.difference(counts[a] / each, counts[b] / each, images_each=each),
        ours=int((apart > 0).sum()),
        theirs=int((apart < 0).sum()),
        p=p,
        p_holm=float(adjusted),
        spread=spread,
        found=power.smallest_found(spread=spread, units=len(apart)),
        needed=power.units_needed(float(apart.mean()), spread=spread),
      )
    )
  return found
