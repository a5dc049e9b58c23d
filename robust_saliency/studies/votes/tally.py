"""From participants' votes to arrays with named axes, which claims and the page read.

Along the axis "seed" stand participants: they are what is repeated.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from robust_saliency.results.participants import PARTICIPANTS
from robust_saliency.results.result import SEED, Layout, Result
from robust_saliency.studies.votes.ballots import Ballot
from robust_saliency.studies.votes.questionnaire import FORCED_CHOICE, Picture, Questionnaire

VOTES = "votes"
FOOLED, REASONABLE, NONE = "fooled", "reasonable", "none_plausible"
SCORES = (FOOLED, REASONABLE, NONE)


def tally(asked: Questionnaire, ballots: Sequence[Ballot]) -> Result:
  """Counts votes.

  A forced choice gives

    share: of a participant's votes, float64 [method, seed].
    chosen: which picture got a question's vote, uint8 [method, question, seed].
    place: where it stood, from 0, uint8 [question, seed].
    seconds: how long that took, float32 [question, seed].

  and plausible labels

    fooled: the share of a participant's images whose most plausible label is the target, float64
      [model, seed].
    reasonable: the share whose first or second label is the target, or for which no label is
      plausible, float64 [model, seed].
    none_plausible: the latter part of it, float64 [model, seed].
    fooled_at, reasonable_at, none_plausible_at: for the image of each class, uint8
      [model, class, seed].
    seconds: float32 [model, class, seed].

  Args:
    asked: the questionnaire.
    ballots: of different participants, whole; at least one.

  Returns:
    A result of kind "votes"; metadata `design`, `axis`, `source`, `identity`, `drawn_from`,
    `classes` and `labels` (the position of each question's class among them).

  Raises:
    ValueError: for no ballots.

  Source: Ross & Doshi-Velez 2018, section "Human-subject study" (the two scores).
  """
  if not ballots:
    raise ValueError("there are no votes that can be counted")
  participants = tuple(ballot.participant for ballot in ballots)
  count = _choices if asked.design == FORCED_CHOICE else _plausible_labels
  arrays, axes, coordinates, labels = count(asked, ballots)
  of_each = [name for name, of in axes.items() if of == (asked.axis, SEED)]
  layout = Layout(
    axes,
    {asked.axis: asked.compared, **coordinates, SEED: participants},
    images_each=dict.fromkeys(of_each, len(labels)),
    units=dict.fromkeys(of_each, PARTICIPANTS),
  )
  about = {
    **{name: getattr(asked, name) for name in ("design", "axis", "source", "identity")},
    "drawn_from": dict(asked.drawn_from),
    "classes": list(asked.classes),
    "labels": labels,
  }
  return Result(asked.name, VOTES, layout, arrays, about)


_Counted = tuple[
  dict[str, np.ndarray], dict[str, tuple[str, ...]], dict[str, tuple[Any, ...]], list[int]
]


def _choices(asked: Questionnaire, ballots: Sequence[Ballot]) -> _Counted:
  groups, behind = asked.groups, {picture.code: picture for picture in asked.pictures}
  questions = list(groups)
  chosen = np.zeros((len(asked.compared), len(questions), len(ballots)), np.uint8)
  place = np.zeros(chosen.shape[1:], np.uint8)
  seconds = np.zeros(chosen.shape[1:], np.float32)
  for b, ballot in enumerate(ballots):
    for answer in ballot.answers:
      q = questions.index(answer.group)
      chosen[asked.compared.index(behind[answer.picture].compared), q, b] = 1
      place[q, b], seconds[q, b] = answer.place, answer.seconds
  per_question = ("question", SEED)
  return (
    {"share": chosen.mean(axis=1), "chosen": chosen, "place": place, "seconds": seconds},
    {
      "share": (asked.axis, SEED),
      "chosen": (asked.axis, *per_question),
      "place": per_question,
      "seconds": per_question,
    },
    {"question": tuple(questions)},
    [of_group[0].label for of_group in groups.values()],
  )


def _plausible_labels(asked: Questionnaire, ballots: Sequence[Ballot]) -> _Counted:
  behind = {picture.code: picture for picture in asked.pictures}
  labels = sorted({picture.label for picture in asked.pictures})
  shape = (len(asked.compared), len(labels), len(ballots))
  at = {name: np.zeros(shape, np.uint8) for name in SCORES}
  seconds = np.zeros(shape, np.float32)
  for b, ballot in enumerate(ballots):
    for answer in ballot.answers:
      picture = behind[answer.picture]
      here = asked.compared.index(picture.compared), labels.index(picture.label), b
      for name, value in _scores(picture, answer.labels).items():
        at[name][here] = value
      seconds[here] = answer.seconds
  per_image = (asked.axis, "class", SEED)
  arrays = {name: one.mean(axis=1) for name, one in at.items()}
  return (
    {**arrays, **{f"{name}_at": one for name, one in at.items()}, "seconds": seconds},
    {
      **dict.fromkeys(SCORES, (asked.axis, SEED)),
      **{f"{name}_at": per_image for name in SCORES},
      "seconds": per_image,
    },
    {"class": tuple(asked.classes[label] for label in labels)},
    labels,
  )


def _scores(picture: Picture, labels: tuple[int, ...]) -> dict[str, bool]:
  return {
    FOOLED: labels[:1] == (picture.target,),
    REASONABLE: picture.target in labels or not labels,
    NONE: not labels,
  }
