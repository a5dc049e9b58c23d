"""A paper's numbers beside ours, on tables written by hand."""

import dataclasses

import numpy as np
import pytest

from robust_saliency.results.nearness import nearness
from robust_saliency.results.published import COLUMNS, points, read_published
from robust_saliency.results.result import Layout, Result

NETWORKS = ("a", "b", "c")


def table(*rows):
  return "\n".join([",".join(COLUMNS), *rows])


def cell(target, value, epsilon="0.1", study="FGSM", array="correct", dataset="mnist"):
  return f"{dataset},{study},{array},epsilon={epsilon};source=a;target={target},{value},0.02,figure"


def accuracies(of_targets):
  """A transfer study: of 100 images made for "a" at 0.1 how many each target gets right."""
  layout = Layout(
    {"correct": ("seed", "epsilon", "source", "target", "example")},
    {"seed": (0, 1), "epsilon": (0.1, 0.4), "source": NETWORKS, "target": NETWORKS},
  )
  correct = np.zeros((2, 2, 3, 3, 100), bool)
  for t, right in enumerate(of_targets):
    # The two seeds lie 0.1 above and below.
    for s, sign in enumerate((1, -1)):
      correct[s, 0, 0, t] = np.arange(100) < right + sign * 10
  return {"FGSM": Result("FGSM", "transfer", layout, {"correct": correct})}


def test_nearness_is_what_a_hand_computes():
  paper = read_published(
    table(cell("a", 0.2), cell("b", 0.5), cell("c", 0.9), cell("c", 0.3, dataset="svhn")),
    dataset="mnist",
  )
  [near] = nearness(paper, accuracies([30, 80, 70]))
  differences = np.array([0.3 - 0.2, 0.8 - 0.5, 0.7 - 0.9])
  assert near.cells == 3
  assert near.rmse == pytest.approx(np.sqrt((differences**2).mean()))
  assert near.bias == pytest.approx(differences.mean())
  assert near.within == (0, 1)
  # The paper has a < b < c, we have a < c < b.
  assert (near.in_order, near.pairs) == (2, 3)


def test_networks_that_the_paper_has_close_together_are_in_no_order():
  paper = read_published(table(cell("a", 0.50), cell("b", 0.54), cell("c", 0.55)), dataset="mnist")
  [near] = nearness(paper, accuracies([30, 20, 80]))
  assert (near.in_order, near.pairs) == (1, 1)


def test_only_what_both_have_is_compared():
  rows = [
    cell("a", 0.2),
    cell("a", 0.9, epsilon="0.7"),
    cell("d", 0.9),
    cell("b", 0.9, study="TGSM"),
    cell("b", 0.9, array="fools_both"),
    "mnist,FGSM,correct,target=b,0.9,,a coordinate is missing",
  ]
  [near] = nearness(read_published(table(*rows), dataset="mnist"), accuracies([30, 80, 70]))
  assert (near.cells, near.pairs) == (1, 0)
  others = read_published(table(*rows[1:]), dataset="mnist")
  assert nearness(others, accuracies([1, 2, 3])) == []


def test_nearness_of_two_studies_is_that_of_both_and_of_each():
  rows = (cell("a", 0.2), cell("b", 0.5), cell("a", 0.5, study="TGSM"))
  [fgsm] = accuracies([30, 80, 70]).values()
  results = {name: dataclasses.replace(fgsm, name=name) for name in ("TGSM", "FGSM")}
  both, *each = nearness(read_published(table(*rows), dataset="mnist"), results)
  assert [(one.of, one.cells) for one in (both, *each)] == [("all", 3), ("FGSM", 2), ("TGSM", 1)]
  assert both.bias == pytest.approx((0.1 + 0.3 - 0.2) / 3)
  assert [one.pairs for one in (both, *each)] == [1, 1, 0]  # of one study each


def test_a_mode_is_printed_and_not_held_against_a_mean():
  rows = [f"mnist,g,log,model={m};statistic=mode,{v},," for m, v in (("a", -12), ("b", -26))]
  paper = read_published(table(*rows), dataset="mnist")
  place = {"of": "g.log", "at": {"model": "a"}}
  assert paper.text(**place) == "−12"
  assert paper.text(**place, minus={"model": "b"}) == "14 (−12 + 26)"
  assert paper.value(**place) is None
  assert paper.value(**place, minus={"model": "b"}) is None


def test_how_far_a_number_may_be_misread_adds_up():
  rows = [
    "mnist,g,norm,model=a,4,0.2,",
    "mnist,g,norm,model=b,0.5,0.05,",
    "mnist,g,norm,model=c,2,,",
  ]
  paper = read_published(table(*rows), dataset="mnist")
  assert paper.value("g.norm", {"model": "a"}) == (4, 0.2)
  at = {"of": "g.norm", "at": {"model": "a"}}
  assert paper.value(**at, minus={"model": "b"}) == pytest.approx((3.5, 0.25))
  assert paper.value(**at, minus={"model": "c"}) == pytest.approx((2, 0.2))
  ratio, error = paper.value(**at, over={"model": "b"})
  # By hand: the first-order change of a / b.
  assert (ratio, error) == pytest.approx((8, 0.2 / 0.5 + 4 / 0.25 * 0.05))
  assert paper.value(**at, minus={"model": "d"}) is None
  with pytest.raises(ValueError, match="reading_error must be a finite number, got 'x'"):
    read_published(table("mnist,g,norm,model=a,4,x,"), dataset="mnist")


def test_networks_that_diverged_are_not_compared():
  paper = read_published(table(cell("a", 0.2), cell("b", 0.5)), dataset="mnist")
  results = accuracies([30, 80, 70])
  values = results["FGSM"].arrays["correct"].astype(np.float64)
  values[0, :, :, 1] = np.nan
  (result,) = results.values()
  result = Result("FGSM", "transfer", result.layout, {"correct": values})
  assert nearness(paper, {"FGSM": result})[0].cells == 1


def test_numbers_are_printed_with_as_many_decimals_as_were_typed():
  paper = read_published(
    table(cell("a", "0.9942"), cell("b", "0.99"), cell("c", "-12"), cell("d", "3e-07")),
    dataset="mnist",
  )
  at = {"source": "a", "epsilon": 0.1}
  assert paper.text("FGSM.correct", {**at, "target": "a"}) == "0.9942"
  assert paper.text("FGSM.correct", {**at, "target": "d"}) == "3.0e−07"
  minus = paper.text("FGSM.correct", {**at, "target": "a"}, minus={"target": "b"})
  assert minus == "0.0042 (0.9942 − 0.99)"
  assert paper.text("FGSM.correct", {**at, "target": "b"}, minus={"target": "c"}) == (
    "12.99 (0.99 + 12)"
  )
  assert paper.text("FGSM.correct", {**at, "target": "a"}, over={"target": "b"}) == (
    "1.004 (0.9942 / 0.99)"
  )


def test_medians_stand_apart_from_means():
  rows = [
    "mnist,gradients,norm,model=a,5,,mean",
    "mnist,gradients,norm,model=a;statistic=median,0.1,,median",
    "mnist,gradients,norm,model=b;statistic=median,1e-3,,median",
  ]
  paper = read_published(table(*rows), dataset="mnist")
  assert paper.text("gradients.norm", {"model": "a"}) == "5"
  ratio = paper.text("gradients.norm", {"model": "a"}, over={"model": "b"}, log_of_medians=True)
  assert ratio == "2.00 (log₁₀ of 0.1 / 1.0e−03)"


@pytest.mark.parametrize(
  ("text", "sentence"),
  [
    pytest.param(table(cell("a" * 200_000, 0.1)), "must be CSV: field larger", id="long"),
    ("study,array\n", "must have the columns dataset, study"),
    (table(cell("a", "much")), "line 2: value must be a finite number, got 'much'"),
    (table(cell("a", "inf")), "line 2: value must be a finite number"),
    (table(cell("a", 0.1), cell("a", 0.2, epsilon="0.10")), "line 3: a second number of FGSM"),
    (table("mnist,FGSM,correct,target,0.1,,"), "coordinates must be axis=value, got 'target'"),
  ],
)
def test_a_table_that_cannot_be_read_is_refused(text, sentence):
  with pytest.raises(ValueError, match=sentence):
    read_published(text, dataset="mnist")


def test_the_paper_s_curve_beside_one_of_ours_is_its_numbers_in_order():
  rows = [cell("a", 0.2, "0.4"), cell("a", 0.9, "0.1"), cell("b", 0.5), cell("a", 0.1, study="X")]
  paper = read_published(table(*rows), dataset="mnist")
  [ours] = accuracies([30, 80, 70]).values()
  where = {"source": "a", "target": "a"}
  assert points(paper.beside(ours), "correct", "epsilon", where) == ([0.1, 0.4], [0.9, 0.2])
  assert points(ours, "correct", "epsilon", where) == ([], [])
