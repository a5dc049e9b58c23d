"""Claims about curves, on rows made by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from robust_saliency.studies import check_claim, judge_claim, training_curves

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


def judged(training, seeds=3, *, relation="<=", threshold=-0.2, **measure):
  curves = training_curves(training, range(seeds), examples={"a": 400})
  return judge_claim(
    {
      "statement": "It falls.",
      "source": "a test",
      "measure": {"metric": METRIC, **measure},
      "relation": relation,
      "threshold": threshold,
    },
    {curves.name: curves},
    scale="small",
  )


FALLING = {"a": rows([0.5, 0.8, 0.6, 0.5], [0.7, 0.6, 0.5, 0.35], [0.8, 0.7, 0.6, 0.5])}


def test_a_change_is_from_the_peak_to_the_end_per_seed():
  claim = judged(FALLING, name="probe_change", model="a")
  drops = np.array([-0.3, -0.35, -0.3])
  assert claim.value == pytest.approx(drops.mean())
  # The images' part as if each end had 400 of its own; four values may have been the peak.
  ends = np.array([[0.8, 0.5], [0.7, 0.35], [0.8, 0.5]])
  a, b = drops.var(ddof=1) / 3, (ends * (1 - ends)).sum(axis=1).mean() / 400
  freedom = (a + b) ** 2 / (a**2 / 2 + b**2 / 399)
  low, _ = stats.t.interval(0.95, freedom, loc=drops.mean(), scale=np.sqrt(a + b))
  _, high = stats.t.interval(1 - 0.05 / 4, freedom, loc=drops.mean(), scale=np.sqrt(a + b))
  assert (claim.low, claim.high) == pytest.approx((low, high), abs=2e-3)
  assert claim.interval == "95 % over 400 validation images and 3 networks"
  assert claim.verdict == "supported"


def test_a_change_since_half_of_the_steps_passes_over_earlier_peaks():
  claim = judged(FALLING, name="probe_change", model="a", since=0.75, threshold=-0.25)
  assert claim.value == pytest.approx(-(0.1 + 0.15 + 0.1) / 3)
  assert claim.verdict == "refuted"


def test_networks_that_were_measured_at_different_steps_are_compared_at_their_ends():
  training = {
    "a": rows([5.0, 1.0], [5.0, 10.0], [5.0, 100.0]),
    "b": rows([7.0, 7.0, 0.1], [7.0, 7.0, 1.1], [7.0, 7.0, 10 / 1.1], every=30),
  }
  claim = judged(
    training, name="probe_log_ratio", model="a", baseline="b", relation=">=", threshold=0.5
  )
  assert claim.value == pytest.approx(1)
  assert claim.verdict == "supported"


def test_the_interval_of_one_seed_s_accuracies_is_over_the_probe_s_images():
  one = judged({"a": rows([0.8, 0.5])}, 1, name="probe_change", model="a")
  # Two independent samples of 400 images; either value may have been the peak.
  error = (0.8 * 0.2 / 400 + 0.5 * 0.5 / 400) ** 0.5
  assert (one.value, one.low) == pytest.approx((-0.3, -0.3 - 1.96 * error), abs=1e-3)
  assert one.high == pytest.approx(-0.3 + 2.241 * error, abs=1e-3)
  assert one.verdict == "holds in this run"
  assert one.interval == "95 % over 400 validation images, one network"


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_constant_network_is_not_found_to_fall(seeds):
  # 20 values of a network that stays at 0.9, each on 400 images of its own.
  random = np.random.default_rng(0)
  fallen = 0
  for _ in range(100):
    curves = random.binomial(400, 0.9, (seeds, 20)) / 400
    claim = judged({"a": rows(*curves)}, seeds, name="probe_change", model="a", threshold=-1e-3)
    fallen += claim.verdict in ("supported", "holds in this run")
  assert fallen <= 5


def test_a_curve_that_ends_at_its_peak_has_fallen_by_nothing_but_perhaps_a_little():
  one = judged({"a": rows([0.5, 1.0])}, 1, name="probe_change", model="a")
  assert (one.value, one.high) == (0, 0)
  assert one.low < -0.005


def test_one_seed_s_lengths_or_no_finite_value_leave_a_claim_undecided():
  lengths = {"a": rows([8.0, 5.0], metric="probe_gradient")}
  one = judged(lengths, 1, name="probe_change", model="a", metric="probe_gradient")
  assert one.value == -3
  assert one.verdict == "undecided"
  assert one.interval == "95 % over one network; no images are kept"
  none = judged({"a": rows([None, None])}, 1, name="probe_change", model="a")
  assert math.isnan(none.value)
  assert none.verdict == "undecided"
  length = judged(
    {"a": rows([0.0, 0.0], [0.0, 0.0])}, 2, name="probe_log_ratio", model="a", baseline="a"
  )
  assert length.value == 0


@pytest.mark.parametrize(
  ("measure", "sentence"),
  [
    ({}, None),
    ({"metric": "probe_acuracy"}, r"probe of 'a' writes, .*did you mean 'probe_accuracy'"),
    ({"model": "b"}, "metric must be one that the probe of 'b' writes, none; got"),
    ({"model": "c"}, "model must be one of a, b; got 'c'"),
    ({"since": 2}, "since must be between 0 and 1, got 2"),
    ({"studdy": "x"}, "studdy"),
  ],
)
def test_claims_about_curves_are_checked_before_the_run(measure, sentence):
  claim = {
    "statement": "It falls.",
    "source": "a test",
    "measure": {"name": "probe_change", "model": "a", "metric": METRIC, **measure},
    "relation": "<=",
    "threshold": -0.2,
  }
  probed = {"a": ["probe_accuracy", METRIC], "b": []}

  def check():
    check_claim(claim, {}, ["a", "b"], [0, 1], probed=probed)

  if sentence is None:
    check()
  else:
    with pytest.raises((ValueError, TypeError), match=sentence):
      check()
