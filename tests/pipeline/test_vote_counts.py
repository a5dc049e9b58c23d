"""Votes on a questionnaire about a run: made, counted, and judged in its report."""

import dataclasses
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from robust_saliency import user_study
from robust_saliency.core import files
from robust_saliency.pipeline import later_findings, questionnaires, stage, vote_counts
from robust_saliency.pipeline.provenance import provenance
from robust_saliency.pipeline.redrawing import redraw
from robust_saliency.pipeline.stages import folder_of_network, folder_of_study
from robust_saliency.pipeline.tables import Tables
from robust_saliency.report import claims as claims_part
from tests.studies.votes import ballot_files, run_folder

METHODS = ("gradient", "smoothgrad", "vargrad")
COMMAND = "python -m robust_saliency user_study count"


@pytest.fixture
def asked(tmp_path):
  """A folder with maps and images, and a questionnaire of each design."""
  folder = tmp_path / "run"
  run_folder.explain(folder, methods=METHODS)
  run_folder.with_results(folder, [run_folder.targeted(), run_folder.saliency()])
  questionnaires.make_questionnaire(folder, seed=3)
  questionnaires.make_questionnaire(folder, "plausible_label", seed=3)
  return folder


def choices(folder, people=8):
  of = questionnaires.read_questionnaire(folder, "forced_choice")
  return of, ballot_files.random_choices(of, people, "smoothgrad", 0.7)


def test_hand_edited_votes_are_refused_with_a_sentence_each_and_the_rest_is_counted(asked):
  of, ballots = choices(asked)
  other = questionnaires.read_questionnaire(asked, "plausible_label")
  answers = ballots[0]["answers"]
  spoilt = [
    {**ballots[0], "participant": "f" * 32, "answers": [{**answers[0], "choice": "nope"}]},
    {**ballots[1]},
    {**ballots[2], "participant": "e" * 32, "questionnaire": other.identity},
  ]
  paths = ballot_files.write(asked / "ballots", ballots + spoilt)
  strange = asked / "ballots" / "<b>\x1b[2J.json"
  strange.write_text("{")
  large = asked / "ballots" / "large.json"
  large.write_bytes(b" " * 10_000_000)
  counted = vote_counts.count_votes(
    asked, "forced_choice", [*paths, strange, large, asked / "missing.json"], command=COMMAND
  )
  sentences = (
    "it chooses 'nope', which is no method's picture",
    "has voted already, in 'votes-1.json'",
    f"it answers the questionnaire {other.identity!r}",
    "must hold fields in JSON",
    "has 10000000 bytes, more than the 1000000",
    "No such file",
  )
  assert len(counted.refused) == len(sentences)
  for sentence, said in zip(sentences, counted.refused, strict=True):
    assert sentence in said
    assert said.isprintable()
  page = counted.page.read_text(encoding="utf-8")
  assert "<b>" not in page.partition("<body>")[2]
  assert "&lt;b&gt;\\x1b[2J.json" in page
  numbers = json.loads((counted.page.parent / "votes.json").read_text())
  assert numbers["participants"] == 8
  assert numbers["refused"] == list(counted.refused)
  expected = [
    sum(
      answer["choice"] in {p.code for p in of.pictures if p.compared == name}
      for ballot in ballots
      for answer in ballot["answers"]
    )
    for name in METHODS
  ]
  assert [one["count"] for one in numbers["scores"]["share"]["alone"]] == expected
  for link in re.findall(r'href="((?:figures|data)/[^"]+)"', page):
    assert (counted.page.parent / link).is_file()


def test_the_order_of_the_files_changes_nothing(asked):
  _, ballots = choices(asked)
  paths = ballot_files.write(asked / "ballots", ballots)
  first = vote_counts.count_votes(asked, "forced_choice", paths, command=COMMAND)
  content = first.page.read_bytes(), (first.page.parent / "votes" / "result.npz").read_bytes()
  again = vote_counts.count_votes(asked, "forced_choice", paths[::-1], command=COMMAND)
  assert content == (
    again.page.read_bytes(),
    (again.page.parent / "votes" / "result.npz").read_bytes(),
  )


def test_no_votes_that_count_are_an_error_with_all_reasons(asked):
  with pytest.raises(ValueError, match=r"no votes that can be counted: .*No such file"):
    vote_counts.count_votes(asked, "forced_choice", [asked / "a.json"], command=COMMAND)
  with pytest.raises(FileNotFoundError, match="has no questionnaire 'nope'; make it first"):
    vote_counts.count_votes(asked, "nope", [], command=COMMAND)


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"design": "vote"}, "design must be one of forced_choice, plausible_label; got 'vote'"),
    ({"about": "pixel"}, "about must be one of class, image"),
    ({"model": "nope"}, "model must be one of cnn"),
    ({"compare": ["gradient", "nope"]}, "compare must be one of gradient, smoothgrad, vargrad"),
    ({"compare": ["gradient"]}, "what is compared must be at least two of a kind, got gradient"),
    ({"studies": ["nope"]}, "studies must be one of images for people, gradients"),
    ({"studies": ["images for people"]}, "keeps no maps that can be compared"),
    ({"studies": ["gradients"], "model": "plain"}, "model must be left out"),
    ({"studies": ["gradients", "gradients"], "model": "plain"}, "must be different ones"),
    ({"studies": ["gradients", "gradients"]}, "model must be given, one of plain, robust"),
    ({"design": "plausible_label", "studies": ["gradients"]}, "keeps no targeted images"),
    ({"design": "plausible_label", "studies": ["a", "b"]}, "studies must be one of targeted"),
    ({"name": "../a"}, "name must be of small letters"),
    ({"name": "A"}, "name must be of small letters"),
    ({"seed": -1}, "seed must be >= 0"),
  ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(asked, settings, sentence):
  with pytest.raises(ValueError, match=re.escape(sentence)):
    questionnaires.make_questionnaire(asked, **{"name": "other", **settings})


def test_a_questionnaire_that_has_votes_is_not_made_anew(asked):
  page = asked / "user_studies" / "forced_choice" / "questionnaire.html"
  before = page.read_bytes()
  questionnaires.make_questionnaire(asked, seed=3)
  assert page.read_bytes() == before
  questionnaires.make_questionnaire(asked, seed=4)
  assert page.read_bytes() != before
  _, ballots = choices(asked)
  paths = ballot_files.write(asked / "ballots", ballots)
  vote_counts.count_votes(asked, "forced_choice", paths, command=COMMAND)
  with pytest.raises(FileExistsError, match="has votes on its questionnaire already"):
    questionnaires.make_questionnaire(asked)


def test_maps_of_several_studies_are_compared_on_one_network(tmp_path):
  studies = [run_folder.saliency(name) for name in ("one", "two")]
  run_folder.with_results(tmp_path, studies)
  questionnaires.make_questionnaire(tmp_path, studies=["one", "two"], model="robust", about="image")
  of = questionnaires.read_questionnaire(tmp_path, "forced_choice")
  assert (of.axis, of.compared) == ("method", ("one", "two"))
  assert len(of.groups) == 10


def test_a_run_without_maps_says_what_to_do(tmp_path):
  with pytest.raises(FileNotFoundError, match="has no maps: run python -m robust_saliency explain"):
    questionnaires.make_questionnaire(tmp_path)
  run_folder.with_results(tmp_path, [run_folder.saliency()])
  with pytest.raises(ValueError, match="has no study of kind 'targeted'"):
    questionnaires.make_questionnaire(tmp_path, "plausible_label")


def tables(folder, dataset="mnist"):
  row = {
    "id": "C1", "says": "More.", "needs": "votes", "of": "forced_choice.share",
    "at": {"method": "{method}"}, "at_least": 0.4, "for_each": {"method": [*METHODS, "nope"]},
  }  # fmt: skip
  return Tables(
    [{**row, "id": "C1 {method}"}], None, folder=folder, dataset=dataset, scale="",
    networks=[], layouts={},
  )  # fmt: skip


def test_claims_about_votes_are_judged_once_there_are_any(asked):
  judged = tables(asked).judge({}, diverged=set())
  assert {one.verdict for one in judged} == {"not judged: no votes yet"}
  (row, *_) = claims_part.part(judged, dataset="mnist").rows()
  assert row.notes[0].startswith(
    "Not judged: the command user_study makes the questionnaire forced"
  )

  _, ballots = choices(asked, people=12)
  paths = ballot_files.write(asked / "ballots", ballots)
  vote_counts.count_votes(asked, "forced_choice", paths, command=COMMAND)
  counted = {name: result for name, (result, _) in later_findings.votes(asked).items()}
  judged = tables(asked).judge({}, diverged=set(), votes=counted)
  verdicts = {one.claim.id: one.verdict for one in judged}
  assert verdicts == {
    "C1 gradient": "refuted",
    "C1 smoothgrad": "supported",
    "C1 vargrad": "refuted",
    "C1 nope": "not judged: no votes yet",
  }
  assert judged[-1].why_not.startswith("claim 'C1 nope': method must be one of gradient")
  row = claims_part.part(judged, dataset="mnist").rows()[0]
  assert row.interval.endswith("over 12 participants")
  assert row.power.startswith("Participants lie")


def computed_anew(folder, stages, content):
  """Leaves the records that an experiment would of stages with this content; the fingerprint."""
  follows_from = {"settings": {}, "version": 0, "needs": {}}
  record = stage.Record("", content, follows_from, 0.0, provenance())
  kept = {"format": stage.FORMAT, **dataclasses.asdict(record)}
  for directory in stages:
    files.write_with_digest(folder / directory / stage.RECORD_NAME, json.dumps(kept).encode())
  return record.fingerprint


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  ("studies", "stages"),
  [
    ((), [folder_of_network("cnn", 0)]),
    (["gradients"], [folder_of_study("gradients")]),
    (["one", "two"], [folder_of_study("two")]),
  ],
)
def test_votes_on_pictures_of_what_was_computed_anew_since_are_left_out(
  tmp_path, capsys, studies, stages
):
  names = ("gradients", "one", "two")
  every_stage = (folder_of_network("cnn", 0), *map(folder_of_study, names))
  first = computed_anew(tmp_path, every_stage, "digest")
  run_folder.explain(tmp_path, methods=METHODS, network=first)
  run_folder.with_results(tmp_path, [run_folder.saliency(name) for name in names])
  of_one = {"model": "robust"} if len(studies) == 2 else {}
  questionnaires.make_questionnaire(tmp_path, studies=studies, **of_one)
  of = questionnaires.read_questionnaire(tmp_path, "forced_choice")
  ballots = ballot_files.random_choices(of, 3, of.compared[0], 0.7)
  paths = ballot_files.write(tmp_path / "ballots", ballots)
  vote_counts.count_votes(tmp_path, "forced_choice", paths, command=COMMAND)
  computed_anew(tmp_path, stages, "digest")
  assert [*later_findings.votes(tmp_path)] == ["forced_choice"]
  computed_anew(tmp_path, stages, "another")
  assert later_findings.votes(tmp_path) == {}
  said = capsys.readouterr().err
  assert f"pictures from {stages[0]}, which has been computed anew since" in said


def test_maps_of_a_network_that_was_trained_anew_are_not_asked_about(asked):
  computed_anew(asked, [folder_of_network("cnn", 0)], "another")
  with pytest.raises(ValueError, match="trained anew since; run python -m robust_saliency explain"):
    questionnaires.make_questionnaire(asked, name="other")


def test_counts_that_cannot_be_trusted_are_left_out_with_a_sentence(asked, capsys):
  _, ballots = choices(asked)
  paths = ballot_files.write(asked / "ballots", ballots)
  vote_counts.count_votes(asked, "forced_choice", paths, command=COMMAND)
  about = asked / "user_studies" / "forced_choice" / "votes" / "result.json"
  good = json.loads(about.read_text())
  for spoilt in (
    {"kind": "accuracy"},
    {"name": "other"},
    {"metadata": {}},
    {"metadata": {**good["metadata"], "labels": [99] * 10}},
    {"metadata": {**good["metadata"], "gee": {"a": {}}}},
    {"metadata": {**good["metadata"], "drawn_from": {"models/a": 1}}},
    {"metadata": {**good["metadata"], "drawn_from": {"../models/a/seed_0": "digest"}}},
    {"metadata": {**good["metadata"], "drawn_from": {"models/../../a": "digest"}}},
    {"layout": {**good["layout"], "coordinates": {}}},
  ):
    files.write_with_digest(about, json.dumps({**good, **spoilt}).encode())
    assert later_findings.votes(asked) == {}
    said = capsys.readouterr().err
    assert said.startswith("left out of the report: ")
    assert said.count("\n") == 1
  about.write_text("{}")
  assert later_findings.votes(asked) == {}


@pytest.mark.slow
def test_the_report_shows_the_votes_and_keeps_them_where_it_is_drawn_elsewhere(workdir, tmp_path):
  run_folder.explain(workdir, methods=METHODS)
  questionnaires.make_questionnaire(workdir, model="cnn")
  _, ballots = choices(workdir)
  paths = ballot_files.write(tmp_path / "ballots", ballots)
  vote_counts.count_votes(workdir, "forced_choice", paths, command=COMMAND)
  small = redraw(workdir, tmp_path / "small", small=True)
  assert "Votes: which method people chose (forced_choice)" in small.read_text()
  assert [*later_findings.votes(tmp_path / "small")] == ["forced_choice"]


def test_the_command_makes_and_counts(asked, monkeypatch, capsys):
  monkeypatch.chdir(asked)
  given = {"WORKDIR": ".", "COMPARE": "gradient,vargrad", "NAME": "two"}
  defaults = {"DESIGN": "forced_choice", "STUDIES": [], "MODEL": None, "ABOUT": "class", "SEED": 0}
  for flag, value in {**given, **defaults}.items():
    monkeypatch.setattr(user_study, flag, SimpleNamespace(value=value))
  user_study.main(["user_study", "make"])
  assert capsys.readouterr().out == "user_studies/two/questionnaire.html\n"
  of = questionnaires.read_questionnaire(asked, "two")
  assert of.compared == ("gradient", "vargrad")
  paths = ballot_files.write(asked / "b", ballot_files.random_choices(of, 3, "vargrad", 0.9))
  paths[0].write_text("[]")
  user_study.main(["user_study", "count", *map(str, paths)])
  said = capsys.readouterr()
  assert said.out == "user_studies/two/votes.html\n"
  assert said.err.startswith(f"refused: {paths[0]} must hold fields in JSON, got a list\n")
  assert "robust_saliency redraw --workdir=." in said.err
  share = np.load(asked / "user_studies" / "two" / "votes" / "result.npz")["share"]
  assert share.shape == (2, 2)
