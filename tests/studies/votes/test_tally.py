"""Votes whose truth is known are counted, and what is said of them is that truth."""

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from robust_saliency.core.files import json_text
from robust_saliency.results.claims import judge_claim, read_claims
from robust_saliency.studies import votes
from robust_saliency.studies.votes import gee
from tests.studies.votes import ballot_files as files


@pytest.fixture
def choices(forced, tmp_path):
  """Nine people: person p takes "robust" in the questions whose class is below p, else "calm"."""

  def chosen(p):
    return lambda label: "robust" if label < p else "calm"

  ballots = [files.ballot(forced, p, files.choices(forced, chosen(p))) for p in range(9)]
  return files.tallied(forced, ballots, tmp_path)


@pytest.fixture
def labels(plausible, tmp_path):
  """Twelve people, whom GR fools in their class and the next; the undefended network is noise."""
  fooled = "GR(1/K) (4 epochs)"

  def named(picture, p):
    if picture.compared == fooled:
      near = picture.label in (p % 10, (p + 1) % 10)
      return (picture.target, None) if near else (picture.label, picture.target)
    return (None, None) if picture.compared.startswith("distilled") else (picture.label, None)

  ballots = [
    files.ballot(plausible, p, files.labels(plausible, lambda one, p=p: named(one, p)))
    for p in range(12)
  ]
  return files.tallied(plausible, ballots, tmp_path)


def test_a_forced_choice_is_counted_by_participant_question_and_place(forced, choices):
  shares = {name: choices.at("share", model=name) for name in forced.compared}
  np.testing.assert_allclose(shares["robust"], np.arange(9) / 10)
  np.testing.assert_allclose(shares["calm"], 1 - np.arange(9) / 10)
  assert not shares["plain"].any()
  chosen = choices.arrays["chosen"]
  assert (chosen.sum(axis=0) == 1).all()
  for q, question in enumerate(choices.layout.coordinates["question"]):
    of_question = [one.compared for one in forced.groups[question]]
    label = forced.groups[question][0].label
    for p in range(9):
      taken = "robust" if label < p else "calm"
      assert chosen[forced.compared.index(taken), q, p]
      assert choices.arrays["place"][q, p] == of_question.index(taken)
  assert (choices.arrays["seconds"] == 1.5).all()


def test_its_tests_are_scipys(forced, choices):
  summary = votes.summarise(choices)
  alone = {one.name: one for one in summary.scores["share"].alone}
  assert {name: one.count for name, one in alone.items()} == {"plain": 0, "robust": 36, "calm": 54}
  shares = np.arange(9) / 10
  t_interval = stats.ttest_1samp(shares, 0).confidence_interval()
  assert alone["robust"].estimate[1:3] == pytest.approx(tuple(t_interval))
  # Nobody has chosen "plain": each participant's smallest count, whose chance is a third each.
  assert alone["plain"].p == pytest.approx(
    2 * stats.binomtest(8, 8, 1 / 3).pvalue * (2 / 3)  # of the first, who took "calm" alone
  )
  pair = next(
    one for one in summary.scores["share"].pairs if (one.first, one.second) == ("robust", "calm")
  )
  exact = stats.permutation_test(
    (shares, 1 - shares), lambda a, b, axis: np.mean(a - b, axis), vectorized=True,
    permutation_type="samples", n_resamples=np.inf,
  ).pvalue  # fmt: skip
  assert pair.p == pytest.approx(exact)
  assert (pair.ours, pair.theirs) == (3, 5)
  assert summary.by_class["share"][1].tolist() == [8, 7, 6, 5, 4, 3, 2, 1, 0, 0]


def test_labels_are_scored_as_in_the_paper(labels):
  fooled, reasonable, none = (
    {name: labels.at(score, model=name) for name in labels.layout.coordinates["model"]}
    for score in ("fooled", "reasonable", "none_plausible")
  )
  np.testing.assert_allclose(fooled["GR(1/K) (4 epochs)"], 0.2)
  np.testing.assert_allclose(reasonable["GR(1/K) (4 epochs)"], 1)
  assert not fooled["undefended (4 epochs)"].any()
  assert not reasonable["undefended (4 epochs)"].any()
  np.testing.assert_allclose(reasonable["distilled (4 epochs)"], 1)
  np.testing.assert_allclose(none["distilled (4 epochs)"], 1)
  assert not fooled["distilled (4 epochs)"].any()


CLAIMS = [
  {"id": "C19 fooled", "says": "More.", "needs": "votes", "of": "plausible_label.fooled",
   "at": {"model": "GR(1/K) (4 epochs)"}, "minus": {"model": "undefended (4 epochs)"},
   "at_least": 0.001},
  {"id": "C1", "says": "1.3 times.", "needs": "votes", "of": "forced_choice.share",
   "at": {"model": "robust"}, "at_least": 0.565},
]  # fmt: skip


def test_claims_are_judged_by_participants(choices, labels, plausible, tmp_path):
  fooled, share = read_claims(CLAIMS, dataset="mnist")
  found = judge_claim(share, {"forced_choice": choices})
  assert found.verdict == "undecided"
  assert found.estimate.over == "9 participants"
  assert found.needed > 9
  # All differences are equal, which tells nothing of how far others would be.
  equal = judge_claim(fooled, {"plausible_label": labels})
  assert (equal.verdict, equal.estimate.value) == ("undecided", pytest.approx(0.2))

  ballots = files.random_labels(
    plausible, 12,
    {"undefended (4 epochs)": 0.02, "GR(1/K) (4 epochs)": 0.5, "distilled (4 epochs)": 0.0},
  )  # fmt: skip
  found = judge_claim(fooled, {"plausible_label": files.tallied(plausible, ballots, tmp_path)})
  assert found.verdict == "supported"
  assert found.estimate.over == "12 participants"


def test_as_json_it_is_all_numbers_and_text(choices, labels):
  for result in (choices, labels):
    about = json.loads(json_text(votes.summarise(result).as_json()))
    assert about["participants"] == len(result.layout.coordinates["seed"])
    for score in about["scores"].values():
      assert all({"value", "low", "high", "over", "name"} <= {*one} for one in score["alone"])


def test_the_section_escapes_nothing_and_says_every_number(choices, labels):
  section = votes.section(choices)
  rows = {row.heading: row.cells for row in section.tables[0].groups[0].rows}
  assert rows["robust"][:2] == ["36", "40.0"]
  assert rows["plain"][0] == "0"
  assert len(section.sheets[0].rows) == 90
  assert "9 participants" in section.reading
  of_labels = votes.section(labels)
  rows = {row.heading: row.cells for row in of_labels.tables[0].groups[0].rows}
  assert rows["undefended (4 epochs)"][0].startswith("0.0 (")
  assert len(of_labels.pictures) == 2
  assert len(of_labels.sheets[0].rows) == 12 * 30


def test_a_result_of_another_kind_is_no_tally(choices):
  other = dataclasses.replace(choices, metadata={**choices.metadata, "design": "vote"})
  with pytest.raises(ValueError, match="design must be one of"):
    votes.section(other)


def test_no_votes_are_no_tally(forced):
  with pytest.raises(ValueError, match="there are no votes that can be counted"):
    votes.tally(forced, [])


def test_without_statsmodels_the_equations_say_what_is_missing(monkeypatch, choices):
  monkeypatch.setitem(__import__("sys").modules, "statsmodels.genmod.cov_struct", None)
  found = gee.compare(choices.arrays["chosen"][:1], reference=1 / 3)
  assert found == {"missing": gee.MISSING}
  with_gee = dataclasses.replace(choices, metadata={**choices.metadata, "gee": {"plain": found}})
  tables = votes.section(with_gee).tables
  (row,) = next(t for t in tables if t.caption.startswith("Beside")).groups[0].rows
  assert "pip install" in row.cells[0]


@pytest.mark.peers
def test_the_equations_of_independent_votes_are_a_logistic_regression():
  pytest.importorskip("statsmodels")
  votes_of_two = (np.random.default_rng(0).random((2, 10, 30)) < [[[0.3]], [[0.6]]]).astype(int)
  found = gee.compare(votes_of_two)
  odds = [one.mean() / (1 - one.mean()) for one in votes_of_two]
  assert found["estimate"] == pytest.approx(np.log(odds[0] / odds[1]), abs=1e-6)
  naive = np.sqrt(sum(1 / (one.sum() * (1 - one.mean())) for one in votes_of_two))
  half = (found["high"] - found["low"]) / 2
  assert half == pytest.approx(1.96 * naive, rel=0.25)
  alone = gee.compare(votes_of_two[:1], reference=0.25)
  assert alone["estimate"] == pytest.approx(np.log(odds[0] * 3), abs=1e-6)
  assert "too few" in gee.compare(votes_of_two[:, :, :3])["missing"]
  assert "all votes are equal" in gee.compare(np.ones((2, 5, 9)))["missing"]
