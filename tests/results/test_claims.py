import dataclasses
import tomllib

import numpy as np
import pytest
from scipy import stats

from robust_saliency.results.claims import (
  Claim,
  check_claim,
  judge_claim,
  of_each_network,
  read_claims,
  read_table,
)
from robust_saliency.results.gates import gate
from robust_saliency.results.published import COLUMNS, read_published
from robust_saliency.results.result import Layout, Result

LAYOUT = Layout(
  {
    "correct": ("seed", "epsilon", "source", "target", "example"),
    "lengths": ("target", "seed", "example"),
    "counted": ("target", "seed", "example"),
    "either": ("target", "seed", "example"),
    "slope": ("target", "seed"),
  },
  {"seed": (0, 1, 2), "epsilon": (0.1, 0.4), "source": ("a", "b"), "target": ("a", "b")},
)
GENERATOR = np.random.default_rng(0)
CORRECT = GENERATOR.random((3, 2, 2, 2, 200)) < 0.7
LENGTHS = 10 ** GENERATOR.normal(size=(2, 3, 200))
COUNTED = GENERATOR.random((2, 3, 200)) < 0.5
EITHER = COUNTED | (np.random.default_rng(9).random((2, 3, 200)) < 0.4)
SLOPE = np.array([[1.0, 2.0, 3.0], [0.5, 0.5, 0.8]])
RESULTS = {
  "FGSM": Result(
    "FGSM",
    "transfer",
    LAYOUT,
    {"correct": CORRECT, "lengths": LENGTHS, "counted": COUNTED, "either": EITHER, "slope": SLOPE},
  )
}
LAYOUTS = {"FGSM": LAYOUT}
PLACE = {"source": "a", "target": "b", "epsilon": 0.4}


def claim(**fields) -> Claim:
  row = {"id": "C", "says": "It holds.", "of": "FGSM.correct", "at_least": 0.0, **fields}
  (read,) = read_claims([row], dataset="mnist")
  check_claim(read, LAYOUTS)
  return read


def value_of(**fields) -> float:
  return judge_claim(claim(**fields), RESULTS).estimate.value


def test_every_statistic_is_that_of_numpy():
  there = CORRECT[:, 1, 0]
  assert value_of(at=PLACE, statistic="share") == pytest.approx(there[:, 1].mean())
  assert value_of(at=PLACE, minus={"target": "a"}, statistic="share") == pytest.approx(
    there[:, 1].mean() - there[:, 0].mean()
  )
  ratios = there[:, 1].sum(axis=1) / there[:, 0].sum(axis=1)
  assert value_of(at=PLACE, over={"target": "a"}, statistic="ratio") == pytest.approx(ratios.mean())
  medians = np.median(np.log10(LENGTHS), axis=-1)
  assert value_of(
    of="FGSM.lengths", at={"target": "a"}, over={"target": "b"}, statistic="log ratio of medians"
  ) == pytest.approx((medians[0] - medians[1]).mean())
  assert value_of(of="FGSM.lengths", at={"target": "a"}) == pytest.approx(LENGTHS[0].mean())
  assert value_of(of="FGSM.slope", at={"target": "a"}, minus={"target": "b"}) == pytest.approx(
    (SLOPE[0] - SLOPE[1]).mean()
  )


def test_a_share_among_some_examples_counts_only_them():
  share = value_of(of="FGSM.counted", at={"target": "a"}, among="counted", statistic="share")
  assert share == 1.0


def test_a_claim_is_judged_by_its_own_side():
  above = claim(at=PLACE, statistic="share", at_least=0.5)
  below = claim(at=PLACE, statistic="share", at_least=None, at_most=0.5)
  assert judge_claim(above, RESULTS).verdict == "supported"
  assert judge_claim(below, RESULTS).verdict == "refuted"


def test_equivalence_needs_the_interval_within_the_margin():
  near = claim(at=PLACE, statistic="share", at_least=None, within=0.1, to=0.7)
  assert judge_claim(near, RESULTS).verdict == "supported"
  exact = claim(at=PLACE, statistic="share", at_least=None, within=0.001, to=0.7)
  assert judge_claim(exact, RESULTS).verdict == "undecided"


def test_a_table_writes_a_row_once_for_several_coordinates():
  rows = tomllib.loads("""
    [[claim]]
    id = "C1 {source}, {epsilon}"
    says = "Examples made for {source} at {epsilon} do not transfer."
    of = "FGSM.correct"
    at = {source = "{source}", target = "b", epsilon = "{epsilon}"}
    statistic = "share"
    at_least = 0.5
    for_each = {source = ["a", "b"], epsilon = [0.1, 0.4]}
    on.svhn = {at_least = 0.1}
  """)["claim"]
  claims = read_claims(rows, dataset="mnist")
  assert [one.id for one in claims] == ["C1 a, 0.1", "C1 a, 0.4", "C1 b, 0.1", "C1 b, 0.4"]
  assert claims[1].at == {"source": "a", "target": "b", "epsilon": 0.4}
  assert {one.at_least for one in claims} == {0.5}
  assert {one.at_least for one in read_claims(rows, dataset="svhn")} == {0.1}
  for one in claims:
    check_claim(one, LAYOUTS)


def test_the_published_number_of_the_same_place_stands_beside_ours():
  table = (
    "dataset,study,array,coordinates,value,reading_error,source\n"
    "mnist,FGSM,correct,epsilon=0.4;source=a;target=b,0.62,0.02,figure 1\n"
    "mnist,FGSM,correct,epsilon=0.40;source=a;target=a,0.90,0.02,figure 1\n"
    "svhn,FGSM,correct,epsilon=0.4;source=a;target=b,0.11,0.02,figure 1\n"
  )
  gap = claim(at=PLACE, minus={"target": "a"}, statistic="share")
  published = read_published(table, dataset="mnist")
  assert judge_claim(gap, RESULTS, published=published).paper == "−0.28 (0.62 − 0.90)"
  assert judge_claim(gap, RESULTS, published=read_published(table, dataset="svhn")).paper is None


def rows(**fields):
  return [{"id": "C", "says": "It holds.", "of": "FGSM.correct", "at_least": 0.0, **fields}]


def test_values_that_go_together_fill_a_row_in_together():
  together = {"source, epsilon, limit": [["a", 0.1, 0.5], ["b", 0.4, 0.25]], "target": ["a", "b"]}
  claims = read_claims(
    rows(
      id="C {source}{target}",
      at={"source": "{source}", "target": "{target}", "epsilon": "{epsilon}"},
      at_least="{limit}",
      for_each=together,
    ),
    dataset="mnist",
  )
  found = [(one.id, one.at["epsilon"], one.at_least) for one in claims]
  assert found == [("C aa", 0.1, 0.5), ("C ab", 0.1, 0.5), ("C ba", 0.4, 0.25), ("C bb", 0.4, 0.25)]


def test_a_name_in_a_value_is_not_filled_in_again():
  doubled = {f"{i}": (f"{{{i + 1}}}" * 2,) for i in range(3)}
  [one] = read_claims(rows(id="C", says="{0}", for_each=doubled), dataset="mnist")
  assert one.says == "{1}{1}"
  [one] = read_claims(rows(id="C", says="a {0}", for_each=doubled), dataset="mnist")
  assert one.says == "a {1}{1}"


@pytest.mark.parametrize(
  ("for_each", "message"),
  [
    ({"source, epsilon": [["a"]]}, "must hold lists of 2 values, got"),
    ({str(i): range(10) for i in range(9)}, "must write at most 10000 rows, got 1000000000"),
    ({"source": []}, "must have at least one value, got none"),
    ({"source": "a"}, "must be a list"),
  ],
)
def test_values_that_fill_no_row_are_refused(for_each, message):
  with pytest.raises((ValueError, TypeError), match=f"claim 'C'.*{message}"):
    read_claims(rows(for_each=for_each), dataset="mnist")


def test_data_set_and_scale_change_a_row_each_and_both_together():
  row = rows(
    on={
      "svhn": {"at_most": 0.25},
      "small": {"undecided_by_design": "Too few images."},
      "mnist, full": {"exploratory": True},
    }
  )

  def read(dataset, scale=""):
    (claim,) = read_claims(row, dataset=dataset, scale=scale)
    limits = (claim.at_least, claim.at_most)
    return limits, claim.undecided_by_design is not None, claim.exploratory

  assert read("mnist") == ((0.0, None), False, False)
  # One limit takes the place of another.
  assert read("svhn", "full") == ((None, 0.25), False, False)
  assert read("mnist", "small") == ((0.0, None), True, False)
  assert read("mnist", "full") == ((0.0, None), False, True)


def test_what_a_scale_cannot_decide_is_undecided_whatever_was_measured():
  above = claim(at=PLACE, statistic="share", at_least=0.1, undecided_by_design="Too few.")
  judged = judge_claim(above, RESULTS)
  assert judged.verdict == "undecided"
  assert judged.estimate.low > 0.1


@pytest.mark.parametrize(
  ("at", "closed"),
  [({"target": "b"}, True), ({"target": "a"}, True), ({"source": "b"}, False), ({}, True)],
)
def test_what_a_study_closes_is_not_judged_on_either_side_of_a_difference(at, closed):
  shut = {"not_judged": [gate("correct", "nobody knows", **at)]}
  results = {"FGSM": dataclasses.replace(RESULTS["FGSM"], metadata=shut)}
  judged = judge_claim(claim(at=PLACE, minus={"target": "a"}, at_least=-1.0), results)
  assert judged.verdict == ("not judged" if closed else "supported")
  assert judged.why_not == ("nobody knows" if closed else None)
  assert np.isfinite(judged.estimate.value)


@pytest.mark.parametrize(
  "fields",
  [
    {"statistic": "share"},
    {"statistic": "share", "minus": {"target": "b"}},
    {"statistic": "ratio", "over": {"target": "b"}},
  ],
)
def test_a_share_of_numbers_that_are_neither_0_nor_1_is_not_judged(fields):
  judged = judge_claim(
    claim(of="FGSM.lengths", at={"target": "a"}, at_least=0.5, **fields), RESULTS
  )
  assert judged.verdict == "not judged"
  assert judged.estimate is None
  assert "is of numbers 0, 1, and FGSM.lengths has" in judged.why_not


def test_a_claim_about_a_study_without_a_result_is_undecided():
  judged = judge_claim(claim(at=PLACE, statistic="share"), {})
  assert (judged.verdict, judged.estimate) == ("undecided", None)


@pytest.mark.parametrize(
  "fields",
  [
    {"statistic": "share"},
    {"statistic": "share", "minus": {"target": "a"}},
    {"statistic": "ratio", "over": {"target": "a"}},
    {"statistic": "log ratio of medians", "over": {"target": "a"}},
  ],
)
def test_a_share_of_a_network_that_diverged_is_no_number_and_undecided(fields):
  values = CORRECT.astype(np.float64)
  values[1, :, :, 1] = np.nan
  results = {
    "FGSM": Result("FGSM", "transfer", LAYOUT, {**RESULTS["FGSM"].arrays, "correct": values})
  }
  judged = judge_claim(claim(at=PLACE, **fields), results)
  assert np.isnan(judged.estimate.value)
  assert judged.verdict == "undecided"
  assert judged.estimate.over.endswith("; not all measured")


TABLE = """
networks = ["b", "c"]

[[claim]]
id = "C {target}"
says = "{target} is robust."
of = "FGSM.correct"
at = {source = "a", target = "{target}", epsilon = 0.4}
at_least = 0.5
for_each = {target = ["a", "b", "d"]}

[[claim]]
id = "minus"
says = "a is more robust than c."
of = "FGSM.correct"
at = {source = "a", target = "a", epsilon = 0.4}
minus = {target = "c"}
at_least = 0.0

[[claim]]
id = "votes"
says = "People agree."
needs = "votes"
"""


def test_claims_at_networks_that_the_experiment_does_without_are_left_out():
  def ids(*networks):
    return [one.id for one in read_table(TABLE, dataset="mnist", networks=networks)]

  assert ids("a", "b", "c") == ["C a", "C b", "C d", "minus", "votes"]
  assert ids("a", "c") == ["C a", "C d", "minus", "votes"]
  # "d" is none that it may do without: a slip, which the check refuses.
  assert ids("a") == ["C a", "C d", "votes"]
  wrong = read_table(TABLE, dataset="mnist", networks=["a"])[1]
  with pytest.raises(ValueError, match="target must be one of a, b; got 'd'"):
    check_claim(wrong, LAYOUTS)


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("[[claim]", "claims must be TOML: "),
    pytest.param("a = " + "[" * 100_000, "claims must be TOML: ", id="deep"),
    ("[[claims]]\nid = 'C'", r"field of claims must be one of claim, networks; got 'claims'"),
    ("networks = 'a'", "claims.networks must be a list"),
    ("claim = [1]", r"claims\[0\] must be fields with values, got 1"),
    ("[[claim]]\nid = 'C'", "claim 'C' needs the field 'says'"),
  ],
)
def test_a_table_that_cannot_be_read_is_refused(text, message):
  with pytest.raises((ValueError, TypeError), match=message):
    read_table(text, dataset="mnist", networks=[])


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"of": None}, "needs either the field 'of' or the field 'needs'"),
    ({"of": None, "needs": "votes"}, "needs one of at_least, at_most and within, got at_least"),
    ({"at_least": None}, "needs one of at_least, at_most and within, got none"),
    ({"at_most": 0.5}, "got at_least and at_most"),
    ({"minus": {}, "over": {}}, "must have minus or over, got both"),
    ({"statistic": "mean", "among": "a"}, "must have among for a share alone, got 'mean'"),
    ({"statistic": "ratio"}, "must have over"),
    ({"statistic": "shares"}, "did you mean 'share'"),
    ({"of": "FGSM"}, "of must be STUDY.ARRAY"),
    ({"threshold": 1}, "field of claim 'C' must be one of"),
    ({"of": "TGSM.correct"}, "study of claim 'C' must be one of FGSM"),
    ({"of": "FGSM.corect"}, "did you mean 'correct'"),
    ({"at": {**PLACE, "target": "c"}}, "target must be one of a, b"),
    ({"at": {**PLACE, "epsilon": 0.3}}, "epsilon must be one of 0.1, 0.4; got 0.3"),
    ({"at": {"source": "a"}}, "must say at which epsilon, target of FGSM.correct"),
    ({"at": {**PLACE, "model": "a"}}, "axis of 'correct' must be one of"),
    ({"at": PLACE, "minus": {"target": "c"}}, "target must be one of a, b"),
    ({"at_least": "0.5"}, "at_least must be a number"),
    ({"exploratory": "yes"}, "exploratory must be True or False"),
  ],
)
def test_a_row_that_could_not_be_judged_is_refused_before_anything_runs(fields, message):
  with pytest.raises((ValueError, TypeError)) as caught:
    claim(**{"at": PLACE, **fields})
  assert message in str(caught.value)


def test_arrays_that_do_not_fit_their_axes_are_refused():
  with pytest.raises(ValueError, match=r"must have shape \[target = 2, seed = 3\], got \[2, 2\]"):
    Result("FGSM", "transfer", LAYOUT, {**RESULTS["FGSM"].arrays, "slope": SLOPE[:, :2]})


def test_a_difference_of_shares_within_wholes_takes_each_within_its_own():
  row = {"of": "FGSM.counted", "among": "either", "statistic": "share", "at": {"target": "a"}}
  difference = claim(**row, minus={"target": "b"})
  of_each = COUNTED.sum(axis=2) / EITHER.sum(axis=2)
  estimate = judge_claim(difference, RESULTS).estimate
  assert estimate.value == pytest.approx((of_each[0] - of_each[1]).mean())
  np.testing.assert_allclose(of_each_network(difference, RESULTS), of_each[0] - of_each[1])
  assert estimate.low < estimate.value < estimate.high


def published(*values):
  lines = [f"mnist,FGSM,slope,target={t},{v},0.1,figure" for t, v in zip("ab", values, strict=True)]
  return read_published("\n".join([",".join(COLUMNS), *lines]), dataset="mnist")


@pytest.mark.parametrize(
  ("paper", "agrees"), [(2.0, True), (4.5, True), (4.7, False), (-0.7, False)]
)
def test_ours_agrees_with_a_paper_s_number_within_half_the_interval_and_its_reading(paper, agrees):
  slope = claim(of="FGSM.slope", at={"target": "a"})
  judged = judge_claim(slope, RESULTS, published=published(paper, 0))
  half = stats.t.isf(0.025, 2) / np.sqrt(3)  # of 1, 2 and 3
  assert judged.agrees == agrees == (abs(paper - 2) <= half + 0.1)
  assert judge_claim(slope, RESULTS).agrees is None
  difference = claim(of="FGSM.slope", at={"target": "a"}, minus={"target": "b"})
  half = stats.t.isf(0.025, 2) * np.std([0.5, 1.5, 2.2], ddof=1) / np.sqrt(3)
  expected = abs(1.4 - paper) <= half + 0.2
  assert judge_claim(difference, RESULTS, published=published(paper, 0)).agrees == expected


def test_a_claim_tells_how_far_networks_lie_apart_and_an_undecided_one_how_many_it_needs():
  undecided = judge_claim(claim(of="FGSM.slope", at={"target": "a"}, at_least=1.5), RESULTS)
  assert undecided.spread == pytest.approx(1)
  n = 4
  while stats.t.isf(0.025, n - 1) / np.sqrt(n) >= 0.5:
    n += 1
  assert (undecided.verdict, undecided.needed) == ("undecided", n)
  decided = judge_claim(claim(of="FGSM.slope", at={"target": "a"}, at_least=-9.0), RESULTS)
  assert (decided.verdict, decided.needed) == ("supported", None)


@pytest.mark.parametrize(
  "fields",
  [
    {"at": PLACE, "statistic": "share"},
    {"at": PLACE, "minus": {"target": "a"}, "statistic": "share"},
    {"at": PLACE, "over": {"target": "a"}, "statistic": "ratio"},
    {"of": "FGSM.lengths", "at": {"target": "a"}},
    {"of": "FGSM.lengths", "at": {"target": "a"}, "minus": {"target": "b"}},
    {
      "of": "FGSM.lengths", "at": {"target": "a"}, "over": {"target": "b"},
      "statistic": "log ratio of medians",
    },
    {"of": "FGSM.counted", "at": {"target": "a"}, "among": "either", "statistic": "share"},
    {"of": "FGSM.slope", "at": {"target": "a"}},
    {"of": "FGSM.slope", "at": {"target": "a"}, "over": {"target": "b"}, "statistic": "ratio"},
  ],
)  # fmt: skip
def test_a_claim_s_number_is_the_mean_of_those_of_its_networks(fields):
  one = claim(**fields)
  of_networks = of_each_network(one, RESULTS)
  assert of_networks.shape == (3,)
  assert of_networks.mean() == pytest.approx(judge_claim(one, RESULTS).estimate.value)


@pytest.mark.parametrize("minus", [None, {"target": "b"}])
def test_a_mean_of_numbers_of_which_some_are_infinite_is_none(minus):
  arrays = {**RESULTS["FGSM"].arrays, "lengths": LENGTHS.copy()}
  arrays["lengths"][:, :, ::2] = np.inf
  one = claim(of="FGSM.lengths", at={"target": "a"}, **({} if minus is None else {"minus": minus}))
  judged = judge_claim(one, {"FGSM": Result("FGSM", "transfer", LAYOUT, arrays)})
  assert judged.verdict == "undecided"
  assert np.isnan([judged.estimate.value, judged.spread]).all()
  assert judged.estimate.over.endswith("some infinite")


def test_among_is_refused_for_differences_of_shares():
  layout = dataclasses.replace(LAYOUT, differences=("counted",))
  row = {"id": "C", "says": "It holds.", "of": "FGSM.counted", "at": {"target": "a"}}
  (read,) = read_claims(
    [{**row, "among": "either", "statistic": "share", "at_least": 0.5}], dataset="mnist"
  )
  with pytest.raises(ValueError, match="must not have among, since FGSM"):
    check_claim(read, {"FGSM": layout})


@pytest.mark.parametrize("seed", range(4))
def test_how_many_networks_decide_a_difference_counts_what_its_images_add(seed):
  random = np.random.default_rng(seed)
  chances = random.normal([[0.6], [0.4]], 0.04, (2, 3))[..., None]
  correct = CORRECT.repeat(10, axis=-1).copy()
  correct[:, 1, 0] = np.moveaxis(random.random((2, 3, 2000)) < chances, 0, 1)
  layout = RESULTS["FGSM"]
  results = {"FGSM": dataclasses.replace(layout, arrays={**layout.arrays, "correct": correct})}
  ours, theirs = correct[:, 1, 0, 0].astype(float), correct[:, 1, 0, 1].astype(float)
  each = ours.mean(axis=1) - theirs.mean(axis=1)
  b = (ours - theirs).mean(axis=0).var(ddof=1) / 2000

  def half_width(n):
    a = each.var(ddof=1) / n
    freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / 1999)
    return stats.t.isf(0.025, freedom) * np.sqrt(a + b)

  distance = 0.9 * half_width(3)
  row = {"at": {**PLACE, "target": "a"}, "minus": {"target": "b"}}
  judged = judge_claim(claim(**row, at_least=each.mean() - distance), results)
  expected = next(n for n in range(4, 1001) if half_width(n) < distance)
  assert (judged.verdict, judged.needed) == ("undecided", expected)
