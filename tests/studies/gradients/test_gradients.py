import dataclasses

import jax
import linear
import numpy as np
import pytest
from scipy import stats

from robust_saliency.drawing.palette import model_styles
from robust_saliency.results.claims import judge_claim, read_claims
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.gradients import Gradients, study
from robust_saliency.studies.gradients.study import log_spread, of_other_classes
from robust_saliency.studies.study import run_study

KEY = jax.random.key(0)


@pytest.fixture
def measured(networks, dataset, tmp_path):
  return run_study(
    "g", Gradients(batch_size=16), networks, dataset, key=KEY, seeds=(0, 2), directory=tmp_path
  )


def test_gradient_norms_of_a_linear_network_are_the_misplaced_probability(measured, dataset):
  margin = linear.margins(dataset.test.x, dataset.test.y, 1)
  norm = np.linalg.norm(linear.direction(1))
  # dH(label, f)/dx = (1 - f_label) (w_other - w_label), where f_y = 1 / (1 + exp(-margin)).
  for target, sign in (("y", 1), ("y + 1", -1)):
    found = measured.at("gradient_norm", target=target, model="second")[0]
    np.testing.assert_allclose(found, norm / (1 + np.exp(sign * margin)), rtol=1e-4)
  # Of both classes alike: (f_0 - 1/2) w_0 + (f_1 - 1/2) w_1 = (f_1 - 1/2) (w_1 - w_0).
  found = measured.at("gradient_norm", target="1/K", model="second")[0]
  np.testing.assert_allclose(found, norm * np.abs(1 / (1 + np.exp(-margin)) - 0.5), rtol=1e-4)
  assert not measured.arrays["is_zero"].any()
  log_probabilities = measured.at("log_probabilities", model="second")[0]
  of_label = log_probabilities[np.arange(37), dataset.test.y]
  np.testing.assert_allclose(of_label, -np.log1p(np.exp(-margin)), rtol=1e-4, atol=1e-6)
  # Of two classes, the other one is the less probable.
  others = measured.at("other_log_probability", model="second")[0]
  np.testing.assert_allclose(others, -np.log1p(np.exp(np.abs(margin))), rtol=1e-4)


def test_a_small_report_keeps_log_probabilities_for_a_histogram_and_all_that_claims_ask(
  measured, monkeypatch
):
  monkeypatch.setattr(study, "HISTOGRAM_EXAMPLES", 5)
  kept = Gradients.without_derived(measured)
  for name, array in measured.arrays.items():
    few = array[:, :, :5] if name == "log_probabilities" else array
    np.testing.assert_array_equal(kept.arrays[name], few)
  assert Gradients.without_derived(kept).arrays.keys() == kept.arrays.keys()
  section = Gradients().page(kept, model_styles(("first", "second")))
  assert "of the first 5 images" in section.reading


def test_means_of_squares_and_spreads_are_per_network(measured):
  norms = measured.arrays["gradient_norm"].astype(np.float64)
  np.testing.assert_allclose(measured.arrays["mean_square"], (norms**2).mean(axis=-1))
  spreads = stats.iqr(np.log10(np.maximum(norms, 1e-17)), axis=-1)
  np.testing.assert_allclose(measured.arrays["log_spread"], spreads)
  assert spreads.shape == (3, 2, 2)


def test_norms_below_the_floor_have_no_spread():
  norms = np.array([[0.0, 1e-40, 1e-30, 1e-18], [0.0, 1e-9, 1e-9, 1e-8]])
  spread = log_spread(norms, 1e-17)
  assert spread[0] == 0
  assert spread[1] == pytest.approx(stats.iqr([-17, -9, -9, -8]))


def test_gradients_that_underflow_are_zero(dataset, tmp_path):
  half = 3e5 * linear.direction(0)[:, None]
  kernel = np.hstack([-half, half])
  variables = {
    "params": {"Dense_0": {"kernel": kernel, "bias": np.zeros(2, np.float32)}}, "batch_stats": {},
  }  # fmt: skip
  steep = dataclasses.replace(linear.network(0), variables=variables)
  result = run_study(
    "g", Gradients(), {"steep": [steep]}, dataset, key=KEY, seeds=(0,), directory=tmp_path
  )
  # Float32 holds no exp(-margin) below exp(-104); labels are those of network 0.
  margin = 6e5 * linear.margins(dataset.test.x, dataset.test.y, 0)
  assert (margin > 110).any()
  assert result.at("is_zero", target="y", model="steep")[0][margin > 110].all()
  assert not result.at("is_zero", target="y + 1", model="steep").any()


def test_log_probabilities_of_the_other_classes_leave_the_predicted_one_out():
  probabilities = np.array([[0.5, 0.25, 0.25], [0.8, 0.15, 0.05]])
  expected = [np.log(0.25), np.log([0.15, 0.05]).mean()]
  np.testing.assert_allclose(of_other_classes(np.log(probabilities)), expected)


def test_a_claim_about_gradient_norms_counts_zeros_as_the_smallest_number_or_its_floor():
  layout = Layout({"gradient_norm": ("model", "seed", "example")}, {"model": ("a", "b")})
  norms = np.stack([np.zeros((1, 50)), np.ones((1, 50))])
  results = {"g": Result("g", "gradients", layout, {"gradient_norm": norms})}
  row = {
    "id": "C", "says": "a's are smaller.", "of": "g.gradient_norm", "at": {"model": "a"},
    "over": {"model": "b"}, "statistic": "log ratio of medians", "at_most": -2.0,
  }  # fmt: skip
  for floor, value in (({}, np.log10(2.0**-149)), ({"floor": 1e-17}, -17)):
    (claim,) = read_claims([{**row, **floor}], dataset="digits")
    assert judge_claim(claim, results).estimate.value == pytest.approx(value)


def test_more_examples_than_there_are_are_refused(dataset):
  with pytest.raises(ValueError, match="examples must be between 1 and 37, got 38"):
    Gradients(examples=38).check({}, dataset)
