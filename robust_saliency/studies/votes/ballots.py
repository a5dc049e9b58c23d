"""One participant's votes, from a file that anybody may have written or changed."""

import dataclasses
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from robust_saliency.core import checks, files, records
from robust_saliency.studies.votes.questionnaire import (
  FORCED_CHOICE,
  FORMAT,
  Questionnaire,
)

# Bytes of a file of votes: a hundred times what a questionnaire's hundred answers take.
LARGEST = 1_000_000
_BALLOT: dict[str, records.Form] = {
  **dict.fromkeys(("format", "seed"), records.COUNT),
  **dict.fromkeys(("questionnaire", "design", "participant"), records.TEXT),
}
_CHOICE: dict[str, records.Form] = {
  "question": records.TEXT,
  "shown": records.Each(records.LIST, records.TEXT),
  "choice": records.TEXT,
  "seconds": records.NUMBER,
}
_LABELS: dict[str, records.Form] = {
  "picture": records.TEXT,
  "first": records.VALUE,
  "second": records.VALUE,
  "seconds": records.NUMBER,
}
_ANSWER = {FORCED_CHOICE: _CHOICE}


@dataclasses.dataclass(frozen=True)
class Answer:
  """What was answered to one question.

  Attributes:
    group: the question.
    picture: the code of the picture that was chosen, or that labels were given to.
    place: where the chosen one stood among those that were shown, from 0; 0 where there was one.
    labels: the most plausible class and, perhaps, the second; none for "none is".
    seconds: how long it took, as the participant's browser says.
  """

  group: str
  picture: str
  place: int
  labels: tuple[int, ...]
  seconds: float


@dataclasses.dataclass(frozen=True)
class Ballot:
  """All votes of one participant, one answer to every question."""

  participant: str
  answers: tuple[Answer, ...]


def read_ballot(path: Path, asked: Questionnaire, voted: Mapping[str, str]) -> Ballot:
  """The votes in a file, if they can be counted.

  Args:
    path: the file.
    asked: the questionnaire that was answered.
    voted: participant -> the name of the file whose votes have been counted.

  Raises:
    DamagedFileError: in one sentence, for a file that is too large or no JSON, is of another
      questionnaire or of a participant who has voted, or answers another question than was asked.
    OSError: if it cannot be read.
  """
  content = records.parse(files.read_bytes(path, most=LARGEST), path)
  form = _ANSWER.get(asked.design, _LABELS)
  records.check_fields(content, _BALLOT, path)
  with records.understanding(f"{path} cannot be counted"):
    if content["format"] != FORMAT:
      raise ValueError(f"it is of format {content['format']}, not {FORMAT}")
    if content["questionnaire"] != asked.identity or content["design"] != asked.design:
      raise ValueError(
        f"it answers the questionnaire {checks.shown(content['questionnaire'])} "
        f"({checks.shown(content['design'])}), not {asked.identity!r} ({asked.design})"
      )
    participant = content["participant"]
    if not re.fullmatch(r"[0-9a-f]{32}", participant):
      raise ValueError(f"participant must be 32 digits or a to f, got {checks.shown(participant)}")
    if participant in voted:
      raise ValueError(
        f"participant {participant[:8]} has voted already, in {checks.shown(voted[participant])}"
      )
    records.check_fields(content, {"answers": records.Each(records.LIST, form)}, path)
    groups = {picture.code: picture.group for picture in asked.pictures}
    read = _choice if asked.design == FORCED_CHOICE else _labels
    answers = tuple(read(one, asked, groups) for one in content["answers"])
    _check_whole([answer.group for answer in answers], asked.groups)
  return Ballot(participant, answers)


def _choice(given: Mapping[str, Any], asked: Questionnaire, groups: Mapping[str, str]) -> Answer:
  group, shown = given["question"], given["shown"]
  if group not in asked.groups:
    raise ValueError(f"it answers {checks.shown(group)}, which was not asked")
  if sorted(shown) != sorted(picture.code for picture in asked.groups[group]):
    raise ValueError(f"it was shown other pictures than question {checks.shown(group)} has")
  if given["choice"] not in shown:
    raise ValueError(
      f"it chooses {checks.shown(given['choice'])}, which is no method's picture in question "
      f"{checks.shown(group)}"
    )
  place = shown.index(given["choice"])
  return Answer(groups[given["choice"]], given["choice"], place, (), float(given["seconds"]))


def _labels(given: Mapping[str, Any], asked: Questionnaire, groups: Mapping[str, str]) -> Answer:
  code = given["picture"]
  if code not in groups:
    raise ValueError(f"it labels the picture {checks.shown(code)}, which there is not")
  labels = [given[field] for field in ("first", "second")]
  for label in labels:
    if label is not None:
      whole = isinstance(label, int) and not isinstance(label, bool)
      if not whole or not 0 <= label < len(asked.classes):
        raise ValueError(
          f"a label must be a class's number below {len(asked.classes)} or null, "
          f"got {checks.shown(label)}"
        )
  first, second = labels
  if second is not None and (first is None or second == first):
    raise ValueError("a second label must differ from the first, and needs one")
  given_labels = tuple(label for label in labels if label is not None)
  return Answer(groups[code], code, 0, given_labels, float(given["seconds"]))


def _check_whole(answered: list[str], groups: Collection[str]) -> None:
  """Raises unless every question is answered once."""
  if len(answered) != len(set(answered)):
    raise ValueError("it answers a question twice")
  if missing := set(groups) - set(answered):
    raise ValueError(f"it answers {len(answered)} of {len(groups)} questions, {len(missing)} not")
