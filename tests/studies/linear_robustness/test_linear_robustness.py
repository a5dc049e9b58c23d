"""Linearised robustness against closed forms: on linear networks it is the distance itself."""

import jax
import jax.numpy as jnp
import linear
import numpy as np
import pytest
import scipy.stats

from robust_saliency.drawing.palette import model_styles
from robust_saliency.results.result import Result
from robust_saliency.studies import read_study
from robust_saliency.studies.linear_robustness.study import compared, linearised

DUAL = {"linf": 1, "l2": 2, "l1": np.inf}


def study(**settings):
  return read_study("s", {"kind": "linear_robustness", "attack": {"name": "fmn"}, **settings})


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("norm", DUAL)
def test_a_linear_networks_distance_is_its_margin_over_the_dual_norm(
  networks, dataset, tmp_path, norm
):
  one = study(norm=norm)
  arrays, _ = one.measure(networks, dataset, jax.random.key(0), tmp_path)
  x, y = dataset.test.x, dataset.test.y
  margins = linear.margins(x, y, 2)
  expected = np.maximum(margins, 0) / np.linalg.norm(linear.direction(2), DUAL[norm])
  np.testing.assert_allclose(arrays["margin"][0, 1], margins, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(arrays["linear"][0, 1], expected, rtol=1e-4, atol=1e-6)
  right = margins > 0
  # l1's nearest image may lie outside the box, where the attack must do with a farther one.
  found = arrays["distance"][0, 1][right]
  assert (found >= expected[right] * (1 - 1e-4)).all()
  if norm != "l1":
    np.testing.assert_allclose(np.median(arrays["ratio"][0, 1][right]), 1, rtol=0.02)


def test_of_several_classes_the_nearest_counts_and_not_the_largest_logit():
  """f_1 is nearer to f_0 in value, but its margin falls so slowly that f_2 is reached before."""
  matrix = jnp.array([[10.0, 9.9, 0.0], [0.0, 0.0, 0.0]])

  def logits_fn(x):
    return x.reshape(len(x), 2) @ matrix

  x = jnp.array([1.0, 0.0]).reshape(1, 1, 2, 1)
  margin, distance = linearised(logits_fn, x, jnp.array([0]), norm="l2")
  np.testing.assert_allclose(margin, 0.1, rtol=1e-4)
  np.testing.assert_allclose(distance, 1.0, rtol=1e-4)
  shifted = lambda x: logits_fn(x) + jnp.array([0.0, 0.05, 9.0])  # noqa: E731
  _, distance = linearised(shifted, x, jnp.array([0]), norm="l2")
  np.testing.assert_allclose(distance, min(0.05 / 0.1, 1.0 / 10.0), rtol=1e-3)


def test_ranks_are_scipys_and_what_has_no_ratio_is_left_out():
  distance = np.array([[[0.2, 0.5, 0.1, np.inf, 0.3]]])
  flat = np.array([[[0.1, 0.4, 0.3, 0.2, 0.0]]])
  found = compared({"linear": flat, "distance": distance})
  np.testing.assert_allclose(found["ratio"][0, 0], [2, 1.25, 1 / 3, np.nan, np.nan], rtol=1e-6)
  expected = scipy.stats.spearmanr([0.1, 0.4, 0.3], [0.2, 0.5, 0.1]).statistic
  np.testing.assert_allclose(found["rank_correlation"], [[expected]])


def test_a_network_that_is_never_right_has_no_numbers(networks, dataset, tmp_path):
  one = study(norm="l2")
  arrays, about = one.measure(networks, dataset, jax.random.key(0), tmp_path)
  arrays["ratio"][1] = np.nan
  arrays["rank_correlation"][1] = np.nan
  layout = one.layout(tuple(networks), (0, 1), dataset)
  section = one.page(Result("s", one.kind, layout, arrays, about), model_styles(networks))
  assert section.tables[0].groups[0].rows[1].cells == ["n/a"] * 5
  assert len(section.sheets[0].rows) == 2 * 2 * 37


def test_an_attack_without_a_norm_is_refused(dataset):
  with pytest.raises(ValueError, match="setting of attack 'jsma' must be"):
    study(attack={"name": "jsma"}).check({"a": linear.network(0).module}, dataset)
