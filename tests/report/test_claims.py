import dataclasses
import math

import pytest

from robust_saliency.report.claims import part, sheet
from robust_saliency.report.interval_drawing import DRAWING_WIDTH
from robust_saliency.results import Estimate
from robust_saliency.results.claims import Claim, Judged
from robust_saliency.results.nearness import Nearness
from robust_saliency.results.verdicts import NO_VOTES


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


def test_a_claim_that_is_not_judged_says_why_and_is_counted_apart(claims):
  closed = dataclasses.replace(claims[0], verdict="not judged", why_not="a broken network")
  (row, *_) = rows([closed])
  assert (row.mark, row.value, row.notes[-1]) == ("open", "0.431", "Not judged: a broken network.")
  assert (
    part([closed], dataset="digits").tally == "The paper makes 1 claim about digits: 1 not judged."
  )


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
  table = sheet([within], dataset="digits")
  kept = dict(zip(table.header, table.rows[0], strict=True))
  assert (kept["relation"], kept["threshold"], kept["to"]) == ("within", 0.05, 0.4)


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
  votes = Judged(Claim("C19", "People see it.", needs="votes"), NO_VOTES)
  (row,) = rows([votes])
  assert (row.value, row.interval, row.threshold, row.drawing) == ("not measured", "", "", None)
  assert (row.verdict, row.mark) == ("not judged: no votes yet", "open")
  tally = part([*claims, votes], dataset="digits").tally
  assert tally.endswith("1 refuted, 1 not judged: no votes yet.")


def test_a_claim_of_a_benchmark_that_is_not_there_says_which_file_is_missing():
  of = {"of": "step_costs.seconds", "needs": "a benchmark", "at_most": 0.4}
  (row,) = rows([Judged(Claim("C20", "It is quick.", **of), "needs a benchmark")])
  assert (row.value, row.mark) == ("not measured", "open")
  assert row.notes == (
    "Not measured: benchmarks/results/step_costs.json is not beside this experiment.",
  )


def test_nearness_to_the_paper_is_a_table_of_all_studies_and_of_each():
  near = Nearness("all", 224, 0.1043, -0.0491, within=(150, 186), in_order=160, pairs=186)
  of_tgsm = near._replace(of="TGSM", cells=96, within=(96, 96), in_order=0, pairs=0)
  table = part([], dataset="mnist", nearness=[near, of_tgsm]).nearness
  first, second = table.groups[0].rows
  assert (first.heading, second.heading) == ("All", "TGSM")
  assert first.cells == [
    "224", "0.104", "−0.049", "150 of 224 (67 %)", "186 of 224 (83 %)", "160 of 186 (86 %)",
  ]  # fmt: skip
  assert second.cells[3:] == ["96 of 96 (100 %)", "96 of 96 (100 %)", "none"]
  assert len(table.columns) == 1 + len(first.cells)
  assert "gives of mnist" in table.caption
  assert part([], dataset="mnist").nearness is None


def test_numbers_of_the_paper_are_said_to_agree_or_differ_and_are_counted(claims):
  agreeing, differing = (
    dataclasses.replace(one, agrees=agrees)
    for one, agrees in zip(claims, (True, False), strict=False)
  )
  first, second, *rest = rows([agreeing, differing, *claims[2:]])
  assert [row.agreement for row in (first, second, *rest)] == ["agrees", "differs", "", ""]
  tally = part([agreeing, differing], dataset="digits").tally
  assert tally.endswith("1 refuted. Of 2 numbers of the paper’s 1 agree with ours.")


def test_a_claim_says_how_far_networks_lie_apart_and_how_many_would_decide_it(claims):
  decided = dataclasses.replace(claims[0], spread=0.0512)
  unsure = dataclasses.replace(decided, verdict="undecided", needed=12)
  never = dataclasses.replace(unsure, needed=None)
  apart, judged = (
    "Networks lie 0.051 apart (standard deviation)",
    (decided, unsure, never, claims[0]),
  )
  named = [changed(one, id=name) for name, one in zip("abcd", judged, strict=True)]
  assert [row.power for row in rows(named)] == [
    f"{apart}.",
    f"{apart}; about 12 of them would decide it.",
    f"{apart}; not even 1,000 of them would decide it as it stands.",
    "",
  ]


def test_the_sheet_holds_all_that_is_known_of_a_claim(claims):
  table = sheet([*claims, Judged(Claim("C19", "Seen.", needs="votes"), NO_VOTES)], dataset="digits")
  first, *_, last = [dict(zip(table.header, row, strict=True)) for row in table.rows]
  assert (first["id"], first["value"], first["low"], first["networks"]) == ("C1 a", 0.431, 0.39, 3)
  assert (first["relation"], first["threshold"], first["table"]) == (">=", 0.25, "paper")
  assert first["to"] is None
  assert (last["value"], last["threshold"], last["verdict"]) == (None, None, NO_VOTES)
