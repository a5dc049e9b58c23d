"""Trends of curves, against SciPy's Kendall test and means taken by hand."""

import numpy as np
import pytest
from scipy import stats

from robust_saliency.results.result import Layout, Result
from robust_saliency.results.trends import last_third_minus_first, mann_kendall, trends


@pytest.mark.parametrize("decimals", [1, 8], ids=["many ties", "no ties"])
def test_mann_kendalls_z_is_that_of_scipys_tau_with_ties_and_continuity(decimals):
  random = np.random.default_rng(0)
  for n in (8, 30, 31):
    curve = np.round(random.normal(size=n) - np.linspace(0, 1, n), decimals)
    # tau-b's numerator is S; with n - 1 further ties SciPy's variance would need those of time,
    # of which there are none.
    tau = stats.kendalltau(np.arange(n), curve)
    pairs, (_, ties) = n * (n - 1) / 2, np.unique(curve, return_counts=True)
    score = tau.statistic * np.sqrt(pairs * (pairs - (ties * (ties - 1) / 2).sum()))
    asymptotic = stats.kendalltau(np.arange(n), curve, method="asymptotic").pvalue
    uncorrected = stats.norm.isf(asymptotic / 2)  # |S| / sd
    expected = np.sign(score) * uncorrected * (abs(score) - 1) / abs(score)
    assert mann_kendall(curve) == pytest.approx(expected, rel=1e-6)


def test_a_curve_that_falls_is_negative_and_a_constant_one_is_no_number():
  falling = np.arange(20.0)[::-1]
  assert mann_kendall(falling) == pytest.approx(-mann_kendall(falling[::-1]))
  assert mann_kendall(falling) < -5
  assert np.isnan(mann_kendall(np.ones(20)))
  assert np.isnan(mann_kendall(np.array([1.0, 2.0])))


def test_noise_without_a_trend_has_a_normal_z_and_thirds_that_are_equal_in_the_mean():
  noise = np.random.default_rng(1).normal(size=(2000, 24))
  z = np.array([mann_kendall(curve) for curve in noise])
  assert np.mean(np.abs(z) > stats.norm.isf(0.025)) == pytest.approx(0.05, abs=0.015)
  thirds = np.array([last_third_minus_first(curve) for curve in noise])
  # Each is a difference of two means of eight.
  assert thirds.mean() == pytest.approx(0, abs=4 * np.sqrt(2 / 8 / 2000))
  assert thirds.std() == pytest.approx(np.sqrt(2 / 8), rel=0.1)


def test_points_that_were_not_measured_do_not_count():
  curve = np.array([3.0, 4.0, 1.0, 2.0, 0.0, 5.0])
  gaps = np.insert(curve, [0, 3, 6], np.nan)
  assert mann_kendall(gaps) == mann_kendall(curve)
  assert last_third_minus_first(gaps) == pytest.approx((0 + 5) / 2 - (3 + 4) / 2)
  assert np.isnan(last_third_minus_first(np.array([1.0, np.nan, 2.0])))


def test_a_record_of_training_has_the_trends_of_every_curve():
  random = np.random.default_rng(2)
  loss, accuracy = random.normal(size=(2, 3, 2, 10))
  coordinates = {"metric": ("loss", "accuracy"), "model": ("a", "b", "c"), "seed": (0, 1)}
  layout = Layout(dict.fromkeys(("loss", "accuracy"), ("model", "seed", "step")), coordinates)
  arrays = {"loss": loss, "accuracy": accuracy}
  found = trends(Result("training", "training", layout, arrays))
  for array, of_curve in (
    ("last_third_minus_first", last_third_minus_first),
    ("mann_kendall", mann_kendall),
  ):
    assert found.at(array, metric="accuracy", model="c", seed=1) == of_curve(accuracy[2, 1])
    assert found.at(array, metric="loss", model="a", seed=0) == of_curve(loss[0, 0])
