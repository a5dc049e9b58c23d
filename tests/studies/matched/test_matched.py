"""Matched comparisons against closed forms of linear networks."""

import jax
import linear
import numpy as np
import pytest

from robust_saliency.drawing.palette import model_styles
from robust_saliency.results.result import Result
from robust_saliency.studies import read_study
from robust_saliency.studies.matched.interpolation import gap, weights_at

SEEDS = (0, 1, 6, 2)
FGSM = {"name": "fgsm", "epsilon": 0.03, "label": "FGSM"}


def study(**settings):
  return read_study("s", {"kind": "matched", "attacks": {"fgsm": FGSM}, **settings})


@pytest.fixture
def networks():
  """The first three are the curve, and the last lies within it by both matches."""
  return {f"network {i}": [linear.network(i)] for i in SEEDS}


def measured(networks, dataset, tmp_path, **settings):
  along = [*networks][:3]
  one = study(along=along, **settings)
  arrays, about = one.measure(networks, dataset, jax.random.key(0), tmp_path)
  layout = one.layout(tuple(networks), (0,), dataset)
  return one, Result("s", one.kind, layout, arrays, about)


def test_the_gap_is_what_numpy_interpolates(networks, dataset, tmp_path):
  x, y = dataset.test.x, dataset.test.y
  _, result = measured(networks, dataset, tmp_path)
  columns = [linear.weights(i) for i in SEEDS]
  norms = np.array([np.linalg.norm(w[:, y], axis=0).mean() for w in columns])
  clean = np.array([(linear.margins(x, y, i) > 0).mean() for i in SEEDS])
  robust = np.array([linear.robust(x, y, i, [FGSM["epsilon"]])[0].mean() for i in SEEDS])
  for by, places in (("gradient norm", norms), ("clean accuracy", clean)):
    pieces = [np.argsort(places[i : i + 2]) + i for i in range(2)]
    line = max(np.interp(places[3], places[two], robust[two], left=-1, right=-1) for two in pieces)
    found = result.at("gap", matched=by, attack="fgsm", compared="network 2").mean()
    np.testing.assert_allclose(found, robust[3] - line, rtol=1e-5)
  np.testing.assert_allclose(result.arrays["gradient_norm"].mean(axis=-1)[:, 0], norms, rtol=1e-5)


def test_nothing_is_extrapolated():
  places = np.array([0.0, 2.0, 1.0])
  assert weights_at(0.5, places).tolist() == [[0.75, 0.25, 0]]
  assert len(weights_at(2.1, places)) == 0
  assert len(weights_at(1.0, np.array([0.0, np.nan, 2.0]))) == 0
  assert np.isnan(gap(np.ones(4), 2.1, np.ones((3, 4)), places)).all()


def test_a_curve_that_turns_back_is_read_where_it_is_most_accurate():
  places = np.array([0.0, 2.0, 1.0])
  assert weights_at(1.5, places).tolist() == [[0.25, 0.75, 0], [0, 0.5, 0.5]]
  curve = np.array([[0, 0], [0, 0], [1, 1]])  # right of both images at the end alone
  assert gap(np.array([1, 0]), 1.5, curve, places).tolist() == [0.5, -0.5]
  assert gap(np.array([1, 0]), 1.5, curve[::-1], places).tolist() == [0.75, -0.25]


def test_points_of_one_place_are_all_read():
  readings = weights_at(1.0, np.array([0.0, 1.0, 1.0]))
  assert {tuple(row) for row in readings.tolist()} == {(0, 1, 0), (0, 0, 1)}


def test_a_section_says_which_networks_lie_beyond_the_line(networks, dataset, tmp_path):
  one, result = measured(networks, dataset, tmp_path)
  result.arrays["gap"][0] = np.nan
  section = one.page(result, model_styles(networks))
  accuracies, gaps = section.tables
  assert [row.heading for row in accuracies.groups[0].rows] == [*networks]
  assert gaps.groups[0].rows[0].cells[0] == "beyond the line"
  assert len(section.pictures) == 2
  assert len(section.sheets[0].rows) == 4


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"along": ["a"]}, "along must have two networks at least, got a"),
    ({"along": ["a", "z"]}, "along must be one of a, b, c; got 'z'"),
    ({"along": ["a", "b"], "models": ["a", "b"]}, "models must have a network that is not in"),
    ({"along": ["a", "b"], "examples": 38}, "examples must be between 1 and 37, got 38"),
  ],
)
def test_what_cannot_be_compared_is_refused(dataset, settings, sentence):
  modules = {name: linear.network(0).module for name in settings.get("models", "abc")}
  with pytest.raises(ValueError, match=sentence):
    study(**settings).check(modules, dataset)
