"""What a file of votes may hold, and the sentence for what it may not."""

import dataclasses
import json
import os

import pytest

from robust_saliency.core.files import DamagedFileError
from robust_saliency.studies import votes
from tests.studies.votes import ballot_files as files


def read(asked, ballot, folder, voted=()):
  (path,) = files.write(folder, [ballot])
  return votes.read_ballot(path, asked, dict(voted))


@pytest.fixture
def good(forced):
  return files.ballot(forced, 7, files.choices(forced, lambda _: "robust"))


@pytest.fixture
def labelled(plausible):
  return files.ballot(plausible, 7, files.labels(plausible, lambda one: (one.target, None)))


def test_whole_votes_are_read(forced, good, tmp_path):
  ballot = read(forced, good, tmp_path)
  assert ballot.participant == files.participant(7)
  assert len(ballot.answers) == 10
  behind = {picture.code: picture.compared for picture in forced.pictures}
  assert {behind[answer.picture] for answer in ballot.answers} == {"robust"}
  for answer, given in zip(ballot.answers, good["answers"], strict=True):
    assert given["shown"][answer.place] == answer.picture


def changed(at, **changes):
  """The same votes with other fields, or with another first answer."""

  def change(ballot):
    if at is None:
      return {**ballot, **changes}
    first, *rest = ballot["answers"]
    return {**ballot, "answers": [{**first, **changes}, *rest]}

  return change


def without(field):
  return lambda ballot: {name: value for name, value in ballot.items() if name != field}


def repeated(ballot):
  return {**ballot, "answers": [*ballot["answers"], ballot["answers"][0]]}


def cut(ballot):
  return {**ballot, "answers": ballot["answers"][:-3]}


STRANGE = {
  "another format": (changed(None, format=2), "it is of format 2, not 1"),
  "another questionnaire": (changed(None, questionnaire="ab"), "it answers the questionnaire 'ab'"),
  "another design": (changed(None, design="plausible_label"), "('plausible_label'), not "),
  "no participant": (without("participant"), "needs the field 'participant', which is missing"),
  "a name": (changed(None, participant="Ann"), "must be 32 digits or a to f, got 'Ann'"),
  "no answers": (without("answers"), "needs the field 'answers'"),
  "answers that are none": (changed(None, answers=[3]), "answers.0 must be fields"),
  "a question that there is not": (changed(0, question="<b>"), "it answers '<b>', which was not"),
  "an unknown method": (changed(0, choice="normlime"), "it chooses 'normlime', which is no method"),
  "pictures that there are not": (changed(0, shown=["a", "b"]), "it was shown other pictures"),
  "a time before it began": (changed(0, seconds=-1), "answers.0.seconds must be a number >= 0"),
  "a time without end": (changed(0, seconds=float("inf")), "answers.0.seconds must be a number"),
  "an answer twice": (repeated, "it answers a question twice"),
  "answers that are missing": (cut, "it answers 7 of 10 questions, 3 not"),
}


@pytest.mark.parametrize(("change", "sentence"), STRANGE.values(), ids=STRANGE)
def test_strange_votes_are_refused_in_a_sentence(forced, good, tmp_path, change, sentence):
  with pytest.raises(DamagedFileError) as caught:
    read(forced, change(good), tmp_path)
  assert sentence in str(caught.value)
  assert str(caught.value).startswith(str(tmp_path))
  assert "\n" not in str(caught.value)


STRANGE_LABELS = {
  "no picture": (changed(0, picture="zz"), "it labels the picture 'zz', which there is not"),
  "a class too many": (changed(0, first=10), "a class's number below 10 or null, got 10"),
  "true": (changed(0, first=True), "got True"),
  "text": (changed(0, first="3"), "got '3'"),
  "a fraction": (changed(0, first=0.5), "got 0.5"),
  "one label twice": (changed(0, second=3, first=3), "a second label must differ from the first"),
  "a second without a first": (changed(0, first=None, second=3), "a second label must differ"),
  "a picture twice": (repeated, "it answers a question twice"),
  "too few": (cut, "it answers 27 of 30 questions, 3 not"),
}


@pytest.mark.parametrize(("change", "sentence"), STRANGE_LABELS.values(), ids=STRANGE_LABELS)
def test_strange_labels_are_refused_in_a_sentence(plausible, labelled, tmp_path, change, sentence):
  read(plausible, labelled, tmp_path)
  with pytest.raises(DamagedFileError) as caught:
    read(plausible, change(labelled), tmp_path)
  assert sentence in str(caught.value)


def test_who_has_voted_already_does_not_vote_again(forced, good, tmp_path):
  with pytest.raises(DamagedFileError, match=r"has voted already, in 'first\.json'"):
    read(forced, good, tmp_path, {good["participant"]: "first.json"}.items())


CONTENTS = {
  "no JSON": b'{"format": 1,',
  "a list": b"[]",
  "nested without end": b"[" * 100_000,
  "no text": b"\xff\xfe\x00",
  "nothing": b"",
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_what_is_no_json_object_is_refused(forced, tmp_path, content):
  path = tmp_path / "votes.json"
  path.write_bytes(content)
  with pytest.raises(DamagedFileError, match="must hold fields in JSON"):
    votes.read_ballot(path, forced, {})


def test_ten_megabytes_are_not_taken_into_memory(forced, good, tmp_path):
  path = tmp_path / "votes.json"
  path.write_text(json.dumps(good) + " " * 10_000_000)
  with pytest.raises(DamagedFileError, match="more than the 1000000 that it may have"):
    votes.read_ballot(path, forced, {})


def test_a_link_and_a_pipe_are_no_files_of_votes(forced, good, tmp_path):
  (path,) = files.write(tmp_path, [good])
  (tmp_path / "link").symlink_to(path)
  os.mkfifo(tmp_path / "pipe")
  for name in ("link", "pipe"):
    with pytest.raises(DamagedFileError, match="is no file but"):
      votes.read_ballot(tmp_path / name, forced, {})


@pytest.mark.parametrize("design", ["forced", "plausible"])
def test_a_key_is_read_back_and_one_that_is_none_is_refused(request, design):
  asked = request.getfixturevalue(design)
  key = json.loads(json.dumps(asked.key()))
  read_back = votes.from_key(key, "key.json")
  assert read_back.key() == asked.key()
  assert read_back.groups.keys() == asked.groups.keys()
  first, *rest = key["pictures"]
  other = next(one["group"] for one in rest if one["group"] != first["group"])
  for spoilt in (
    {"format": 2},
    {"design": "vote"},
    {"axis": "seed"},
    {"pictures": [{**first, "compared": "nope"}, *rest]},
    {"pictures": [{**first, "label": 10}, *rest]},
    {"pictures": [{**first, "code": rest[0]["code"]}, *rest]},
    {"pictures": [{**first, "group": other}, *rest]},
    {"name": 3},
  ):
    with pytest.raises(DamagedFileError, match=r"key\.json"):
      votes.from_key({**key, **spoilt}, "key.json")


def test_codes_tell_nothing_of_what_is_behind_and_follow_from_the_seed(forced):
  codes = [picture.code for picture in forced.pictures]
  assert len(set(codes)) == len(codes) == 30
  assert all(len(code) == 12 for code in codes)
  again = votes.with_codes(forced)
  assert again.identity != ""
  order = [picture.compared for picture in forced.groups["4, image 4"]]
  assert any([one.compared for one in of_group] != order for of_group in forced.groups.values())


def test_one_thing_alone_or_no_question_is_no_questionnaire(forced):
  for change in ({"compared": ("plain",)}, {"pictures": ()}, {"seed": -1}, {"design": "vote"}):
    with pytest.raises(ValueError, match=r"must (be|have at least)"):
      votes.with_codes(dataclasses.replace(forced, **change))
