import dataclasses
import math

import pytest

from robust_saliency.report.claims import DRAWING_WIDTH, part, sheet
from robust_saliency.results import Estimate
from robust_saliency.results.claims import Claim, Judged
from robust_saliency.results.published import Nearness


def rows(claims, dataset="digits"):
  tables = part(claims, dataset=dataset).tables
  return [row for table in tables for _, of_group in table.groups for row in of_group]


def changed(judged, verdict=None, **fields):
  claim = dataclasses.replace(judged.claim, **fields)
  return dataclasses.replace(judged, claim=claim, verdict=verdict or judged.verdict)


def test_what_the_paper_says_of_this_data_set_is_told_from_the_rest_and_counted_alone(claims):
  page = part(claims, dataset="digits")
  assert page.tally == "The paper makes 2 claims about digits: 1 supported, 1 refuted."
  assert [table.heading for table in page.tables] == [
    "What the paper says of digits",
    "What the paper says of other data sets, measured here too",
    "Goals of this experiment",
  ]
  assert [table.tally for table in page.tables[1:]] == [
    "1 claim of the paper about other data sets: 1 undecided.",
    "1 goal of this experiment: 1 holds in this run.",
  ]


def test_another_data_set_sorts_the_same_claims_otherwise(claims):
  page = part(claims, dataset="svhn")
  assert page.tally == "The paper makes 2 claims about svhn: 1 supported, 1 undecided."
  assert part(claims[1:3], dataset="notmnist").tally == "The paper makes no claims about notmnist."


def test_an_experiment_of_goals_alone_counts_them(claims):
  page = part(claims[3:], dataset="digits")
  assert page.tally == "1 goal of this experiment: 1 holds in this run."
  assert [name for name, _ in page.tables[0].groups] == [""]


def test_rows_stand_by_the_paper_s_claim_with_the_count_of_each(claims):
  (first, *_) = part([*claims[:2], changed(claims[0], id="C10")], dataset="digits").tables
  assert [(name, len(of_group)) for name, of_group in first.groups] == [
    ("C1: 1 supported, 1 refuted", 2),
    ("C10", 1),
  ]


def test_each_claim_becomes_a_row_with_its_numbers_in_print(claims):
  supported, refuted, undecided, ours = rows(claims)
  assert (supported.value, supported.threshold, supported.paper) == ("0.431", "≥ 0.25", "0.4")
  assert supported.interval == "0.390 to 0.470, 95 % over 8 test images and 3 networks"
  assert (refuted.paper, refuted.threshold) == ("none given", "≤ 0.25")
  assert undecided.interval == "no interval (95 % over one network; no images are kept)"
  assert [row.mark for row in (supported, refuted, undecided, ours)] == [
    "supported",
    "refuted",
    "undecided",
    "holds",
  ]


def test_exploratory_claims_and_those_undecided_by_design_say_why(claims):
  exploratory = changed(claims[0], exploratory=True, since="2026-11-22")
  by_design = changed(claims[1], "undecided", undecided_by_design="Too few images.")
  first, second = rows([exploratory, by_design])
  assert first.notes == (
    "Exploratory: its threshold was chosen on 2026-11-22, when numbers of digits had been seen.",
  )
  assert second.notes == ("Undecided by design: Too few images.",)
  assert part([exploratory, by_design], dataset="digits").tally == (
    "The paper makes 2 claims about digits: 1 supported, 1 undecided; 1 of them exploratory."
  )
  assert rows(claims)[0].notes == ()


def test_the_drawing_puts_interval_and_threshold_in_proportion(claims):
  drawing = rows(claims)[0].drawing
  (threshold,) = drawing.thresholds
  width = drawing.high - threshold
  # 0.25, 0.39, 0.431, 0.47 on one scale.
  assert drawing.low - threshold == pytest.approx(width * 0.14 / 0.22, abs=0.1)
  assert drawing.value - threshold == pytest.approx(width * 0.181 / 0.22, abs=0.1)
  # The shaded side of ">=" reaches from the threshold to the right end.
  assert drawing.side == threshold
  assert drawing.side + drawing.side_width == pytest.approx(DRAWING_WIDTH)


def test_the_drawing_shades_the_left_for_a_claim_of_at_most(claims):
  drawing = rows(claims)[1].drawing
  assert (drawing.side, drawing.side_width) == (0, drawing.thresholds[0])


def test_a_claim_of_equivalence_is_drawn_between_two_thresholds(claims):
  within = changed(claims[0], at_least=None, within=0.05, to=0.4)
  (row,) = rows([within])
  assert row.threshold == "0.4 ± 0.05"
  low, high = row.drawing.thresholds
  assert low < row.drawing.value < high
  assert (row.drawing.side, row.drawing.side_width) == (low, pytest.approx(high - low))


def test_an_infinite_interval_is_not_drawn_and_equal_numbers_are(claims):
  assert rows(claims)[2].drawing is None
  equal = dataclasses.replace(claims[0], estimate=Estimate(0.25, 0.25, 0.25, "", 3))
  drawing = rows([equal])[0].drawing
  assert drawing.low == drawing.high == drawing.thresholds[0]


def test_a_number_that_is_none_is_printed_as_such(claims):
  nothing = Estimate(math.nan, math.nan, math.nan, "8 test images; not all measured", 1)
  (row,) = rows([dataclasses.replace(claims[0], verdict="undecided", estimate=nothing)])
  assert (row.value, row.drawing) == ("n/a", None)


def test_an_unknown_verdict_is_refused(claims):
  with pytest.raises(ValueError, match=r"'C1 a' must be one of supported, .*; got 'proved'"):
    rows([changed(claims[0], "proved")])


def test_a_claim_that_needs_votes_is_listed_without_numbers(claims):
  votes = Judged(Claim("C19", "People see it.", needs="votes"), "needs votes")
  (row,) = rows([votes])
  assert (row.value, row.interval, row.threshold, row.drawing) == ("not measured", "", "", None)
  assert (row.verdict, row.mark) == ("needs votes", "open")
  assert part([*claims, votes], dataset="digits").tally.endswith("1 refuted, 1 needs votes.")


def test_nearness_to_the_paper_is_one_sentence_or_two():
  near = Nearness(cells=224, rmse=0.1043, bias=-0.0491, in_order=163, pairs=190)
  assert part([], dataset="mnist", nearness=near).nearness == (
    "Against 224 accuracies that the paper gives: ours are off by 0.104 (root mean square), in the "
    "mean by −0.049. Of 190 pairs of networks that the paper has at least 0.05 apart, 163 (86 %) "
    "are in its order."
  )
  alone = part([], dataset="mnist", nearness=near._replace(pairs=0, in_order=0)).nearness
  assert alone.endswith("in the mean by −0.049.")


def test_the_sheet_holds_all_that_is_known_of_a_claim(claims):
  table = sheet(
    [*claims, Judged(Claim("C19", "Seen.", needs="votes"), "needs votes")], dataset="digits"
  )
  first, *_, last = [dict(zip(table.header, row, strict=True)) for row in table.rows]
  assert (first["id"], first["value"], first["low"], first["networks"]) == ("C1 a", 0.431, 0.39, 3)
  assert (first["relation"], first["threshold"], first["table"]) == (">=", 0.25, "paper")
  assert (last["value"], last["threshold"], last["verdict"]) == (None, None, "needs votes")
