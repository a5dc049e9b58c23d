"""Curves of training and claims about them, on rows made by hand."""

import numpy as np
import pytest
from scipy import stats

from robust_saliency.results.claims import check_claim, judge_claim, read_claims
from robust_saliency.studies.training import curves_layout, training_curves

METRIC = "probe_fgsm_accuracy"


def rows(*curves, metric=METRIC, every=100):
  """One curve per seed, and rows between that lack the metric."""
  return [
    row
    for seed, values in enumerate(curves)
    for i, value in enumerate(values, start=1)
    for row in (
      {"seed": seed, "step": i * every - 1, "loss": 1.0},
      {"seed": seed, "step": i * every, "loss": 1.0, metric: value},
    )
  ]


def claim(**fields):
  row = {
    "id": "C16",
    "says": "It falls.",
    "of": "training.change_since_peak",
    "at": {"metric": METRIC, "model": "a"},
    "at_most": -0.2,
    **fields,
  }
  (read,) = read_claims([row], dataset="mnist")
  return read


def judged(training, seeds=3, **fields):
  curves = training_curves(training, range(seeds))
  row = claim(**fields)
  check_claim(row, {"training": curves.layout})
  return judge_claim(row, {"training": curves})


FALLING = {"a": rows([0.5, 0.8, 0.6, 0.5], [0.7, 0.6, 0.5, 0.35], [0.8, 0.7, 0.6, 0.5])}


def test_a_curve_stands_where_it_was_logged_and_nothing_elsewhere():
  curves = training_curves({"a": rows([0.5, 0.4]), "b": rows([0.25], every=200)}, [0])
  assert curves.layout.coordinates["step"] == (99, 100, 199, 200)
  a, b = curves.arrays[METRIC][:, 0]
  np.testing.assert_array_equal(a, [np.nan, 0.5, np.nan, 0.4])
  np.testing.assert_array_equal(b, [np.nan, np.nan, np.nan, 0.25])


def test_a_change_is_from_the_peak_to_the_end_of_each_seed():
  found = judged(FALLING)
  drops = np.array([-0.3, -0.35, -0.3])
  low, high = stats.t.interval(0.95, 2, loc=drops.mean(), scale=drops.std(ddof=1) / 3**0.5)
  assert found.estimate[:3] == pytest.approx((drops.mean(), low, high))
  assert found.estimate.over == "3 networks"
  assert found.verdict == "supported"


def test_one_network_s_curve_says_nothing_of_others():
  one = judged({"a": rows([0.8, 0.5])}, 1)
  assert one.estimate.value == pytest.approx(-0.3)
  assert one.verdict == "undecided"
  assert one.estimate.over == "one network; no images are kept"


def test_networks_that_were_measured_at_different_steps_are_compared_at_their_ends():
  training = {
    "a": rows([5.0, 1.0], [5.0, 10.0], [5.0, 100.0]),
    "b": rows([7.0, 7.0, 0.1], [7.0, 7.0, 1.1], [7.0, 7.0, 10 / 1.1], every=30),
  }
  found = judged(
    training,
    of="training.last",
    over={"model": "b"},
    statistic="log ratio of medians",
    at_most=None,
    at_least=0.5,
  )
  assert found.estimate.value == pytest.approx(1)
  assert found.verdict == "supported"


def test_values_that_are_not_finite_are_left_out():
  curves = training_curves({"a": rows([0.9, float("inf"), 0.8, float("nan")])}, [0])
  assert curves.at("last", metric=METRIC, model="a").tolist() == [0.8]
  assert curves.at("change_since_peak", metric=METRIC, model="a") == pytest.approx(-0.1)


@pytest.mark.parametrize(
  "training", [{"a": rows([None, None])}, {"a": []}], ids=["no value", "no rows"]
)
def test_without_any_value_a_claim_is_undecided(training):
  training = {**training, "b": rows([0.5])}
  found = judged(training, 1)
  assert np.isnan(found.estimate.value)
  assert found.verdict == "undecided"


def test_nothing_was_logged_where_no_network_is_trained():
  curves = training_curves({}, [0])
  assert curves.arrays["last"].shape == (0, 0, 1)


@pytest.mark.parametrize(
  ("at", "sentence"),
  [
    ({}, None),
    ({"metric": "probe_acuracy"}, r"metric must be one of .*did you mean 'probe_accuracy'"),
    ({"model": "b"}, "model must be one of a; got 'b'"),
  ],
)
def test_claims_about_curves_are_checked_before_the_run(at, sentence):
  layouts = {"training": curves_layout(["probe_accuracy", METRIC], ["a"], [0, 1])}
  row = claim(at={"metric": METRIC, "model": "a", **at})
  if sentence is None:
    check_claim(row, layouts)
  else:
    with pytest.raises(ValueError, match=sentence):
      check_claim(row, layouts)
