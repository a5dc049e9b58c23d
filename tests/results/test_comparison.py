"""Several runs side by side."""

import numpy as np
import pytest

from robust_saliency.results import means, share
from robust_saliency.results.comparison import Run, compare
from robust_saliency.results.independent import independent_difference
from robust_saliency.results.result import Layout, Result


def run(correct, *, seeds=None, models=("cnn",), images="digits", **layout):
  """A run with one study, of an array [model, seed, example] or [model, seed]."""
  correct = np.asarray(correct)
  axes = ("model", "seed", "example")[: correct.ndim]
  coordinates = {"model": models, "seed": tuple(seeds or range(correct.shape[1]))}
  found = Layout({"correct": axes}, coordinates, **layout)
  return Run({"clean": Result("clean", "accuracy", found, {"correct": correct})}, images)


def first(count, of=100, seeds=1):
  """[1, seeds, of], of which the first ones are right."""
  return np.broadcast_to(np.arange(of) < count, (1, seeds, of))


def test_two_independent_shares_differ_as_newcombe_has_printed():
  """Newcombe 1998, table II, (a): 56 of 70 less 48 of 80 has 0.0524 to 0.3339 by method 10."""
  ours, theirs = (share(first(right, of)[0]) for right, of in ((56, 70), (48, 80)))
  found = independent_difference(ours, theirs)
  assert found.value == pytest.approx(0.2)
  assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


def test_a_difference_is_paired_where_seeds_and_images_are_the_same_and_only_there():
  ours, theirs = first(90, seeds=2), first(80, seeds=2)
  for other, paired in [
    (run(ours), True),
    (run(ours, seeds=(1, 2)), False),
    (run(ours, images="mnist"), False),
    (run(first(90, of=99, seeds=2)), False),
    (run(first(90, seeds=3)), False),
  ]:
    [one] = compare([run(theirs), other])
    assert one.paired == (False, paired)
    assert one.values[1].value == pytest.approx(other.results["clean"].arrays["correct"].mean())
    assert one.differences[1].value == pytest.approx(one.values[1].value - 0.8)
  widths = [
    compare([run(theirs), other])[0].differences[1]
    for other in (run(ours), run(ours, images="mnist"))
  ]
  # Ten images of one hundred have changed, all in one direction: pairs know it.
  assert np.ptp(widths[0][1:3]) < 0.7 * np.ptp(widths[1][1:3])


def test_numbers_of_which_some_are_infinite_have_no_mean():
  found = means.mean(np.array([[1.0, np.inf, 2.0]]))
  assert np.isnan(found.value)
  assert found.over == "3 test images, one network; some infinite"


def test_the_differences_of_three_networks_have_students_interval_of_their_differences():
  rng = np.random.default_rng(0)
  ours, theirs = rng.normal(size=(2, 1, 3))
  [one] = compare([run(theirs), run(ours)])
  difference = (ours - theirs)[0]
  half = 4.302653 * difference.std(ddof=1) / np.sqrt(3)  # t of 2 degrees of freedom at 97.5 %
  expected = difference.mean() + np.array([0, -half, half])
  np.testing.assert_allclose(one.differences[1][:3], expected, rtol=1e-6)


def test_what_one_run_alone_has_stands_there_without_a_difference():
  both = np.concatenate([first(90), first(80)])
  found = compare([run(first(70), models=("b",)), run(both, models=("a", "b"))])
  networks = {one.network: (one.values, one.differences) for one in found}
  assert list(networks) == ["b", "a"]
  assert networks["a"][0][0] is None
  assert networks["a"][1] == (None, None)
  assert networks["b"][1][1].value == pytest.approx(0.1)


def test_images_and_classes_and_pairs_of_networks_are_no_numbers_of_a_network():
  models = ("a", "b")
  layout = Layout(
    {
      "maps": ("model", "seed", "example", "height"),
      "by_class": ("model", "seed", "class"),
      "matrix": ("seed", "source", "target"),
      "predictions": ("model", "example"),
      "robust": ("attack", "seed", "model", "example"),
    },
    dict.fromkeys(("model", "source", "target", "class"), models)
    | {"seed": (0,), "attack": ("pgd", "fgsm")},
  )
  sizes = {"height": 3, "example": 5, "seed": 1}
  arrays = {name: np.zeros([sizes.get(a, 2) for a in axes]) for name, axes in layout.axes.items()}
  one = Run({"all": Result("all", "robustness", layout, arrays)})
  found = compare([one, one])
  assert {(row.quantity.array, *row.quantity.at, row.network) for row in found} == {
    ("robust", ("attack", attack), model) for attack in ("pgd", "fgsm") for model in models
  }


@pytest.mark.parametrize(
  ("values", "layout", "is_share"),
  [
    (first(3), {}, True),
    (first(3) * 1.0, {}, True),
    (first(3) * 0.5, {}, False),
    (first(3) * 0.5, {"images_each": {"correct": 2}}, True),
    (first(3) * -1, {"differences": ("correct",)}, True),
    (np.full((1, 1, 100), np.nan), {}, True),
    (np.ones((1, 3)), {}, False),
  ],
)
def test_every_kind_of_number_has_an_interval_around_it_or_none(values, layout, is_share):
  [one] = compare([run(values, **layout), run(values, **layout)])
  assert one.quantity.is_share == is_share
  for found, expected in [(one.values[0], np.mean(values)), (one.differences[1], 0)]:
    if np.isnan(values).any():
      assert np.isnan(found[:3]).all()
    else:
      assert found.value == pytest.approx(expected)
      assert found.low <= found.value <= found.high
