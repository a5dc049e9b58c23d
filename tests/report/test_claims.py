import dataclasses

import pytest

from robust_saliency.report import claims as claims_table
from robust_saliency.studies.claims import ClaimResult


def test_each_claim_becomes_a_row_with_its_numbers_in_print(claims):
  supported, refuted, undecided = claims_table.rows(claims)
  assert (supported.value, supported.threshold) == ("0.431", "≥ 0.25")
  assert supported.interval == "0.390 to 0.470, 95 % over 3 seeds"
  assert (refuted.paper_value, refuted.threshold) == ("none given", "≤ 0.25")
  assert undecided.interval == "no interval (95 % over 3 seeds)"
  assert [row.verdict for row in (supported, refuted, undecided)] == [
    "supported",
    "refuted",
    "undecided",
  ]


def test_the_drawing_puts_interval_and_threshold_in_proportion(claims):
  drawing = claims_table.rows(claims)[0].drawing
  width = drawing.high - drawing.threshold
  # 0.25, 0.39, 0.431, 0.47 on one scale.
  assert drawing.low - drawing.threshold == pytest.approx(width * 0.14 / 0.22, abs=0.1)
  assert drawing.value - drawing.threshold == pytest.approx(width * 0.181 / 0.22, abs=0.1)
  # The shaded side of ">=" reaches from the threshold to the right end.
  assert drawing.side == drawing.threshold
  assert drawing.side + drawing.side_width == pytest.approx(claims_table.DRAWING_WIDTH)


def test_the_drawing_shades_the_left_for_a_claim_of_at_most(claims):
  drawing = claims_table.rows(claims)[1].drawing
  assert (drawing.side, drawing.side_width) == (0, drawing.threshold)


def test_an_infinite_interval_is_not_drawn(claims):
  assert claims_table.rows(claims)[2].drawing is None


def test_a_claim_whose_numbers_are_all_equal_is_drawn(claims):
  claim = dataclasses.replace(claims[0], value=0.25, low=0.25, high=0.25)
  drawing = claims_table.rows([claim])[0].drawing
  assert drawing.low == drawing.high == drawing.threshold


def test_verdicts_are_counted_in_words(claims):
  assert claims_table.tally(claims) == "3 claims: 1 supported, 1 refuted, 1 undecided."
  assert claims_table.tally(claims[:1]) == "1 claim: 1 supported."


def test_verdicts_on_one_network_are_counted_in_their_own_words(claims):
  words = ("holds in this run", "holds in this run", "fails in this run")
  of_one = [
    dataclasses.replace(claim, verdict=verdict)
    for claim, verdict in zip(claims, words, strict=True)
  ]
  assert claims_table.tally(of_one) == "3 claims: 2 hold in this run, 1 fails in this run."
  assert [row.mark for row in claims_table.rows(of_one)] == ["holds", "holds", "fails"]


def test_an_unknown_verdict_is_refused(claims):
  claim = dataclasses.replace(claims[0], verdict="proved")
  with pytest.raises(
    ValueError, match=r"must be one of supported, refuted, holds in this run, .*; got 'proved'"
  ):
    claims_table.rows([claim])


def test_a_claim_that_needs_votes_is_listed_without_numbers(claims):
  claim = ClaimResult("People see it.", "a test", None, "needs votes", "small")
  (row,) = claims_table.rows([claim])
  assert (row.value, row.interval, row.threshold, row.drawing) == ("not measured", "", "", None)
  assert (row.verdict, row.mark) == ("needs votes", "open")
  assert claims_table.tally([*claims, claim]).endswith("1 undecided, 1 needs votes.")
