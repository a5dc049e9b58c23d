"""Boundaries against lines whose angle is known."""

import jax
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.data import load
from robust_saliency.drawing.palette import model_styles
from robust_saliency.results.result import Result
from robust_saliency.studies import read_study
from robust_saliency.studies.boundary.tilt import crossings, tilt
from robust_saliency.training import TrainedNetwork

ATTACK = {"name": "fgsm", "norm": "l2", "epsilon": 1.0, "label": "FGSM"}


def line(degrees, seed=0):
  """A network whose boundary goes through 0, its normal so many degrees from the first axis."""
  normal = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)
  kernel = np.stack([normal, -normal], axis=1)  # class 0 lies where the first coordinate is > 0
  variables = {"params": {"Dense_0": {"kernel": kernel, "bias": np.zeros(2, np.float32)}}}
  module = models.build("mlp", hidden=(), num_classes=2)
  return TrainedNetwork(module, {**variables, "batch_stats": {}}, seed)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
  toy = load("kim_toy")
  networks = {"tilted": [line(40.0), line(30.0)], "upright": [line(0.0), line(-5.0)]}
  one = read_study("s", {"kind": "boundary", "attack": ATTACK, "resolution": 101})
  one.check({name: of[0].module for name, of in networks.items()}, toy)
  arrays, about = one.measure(networks, toy, jax.random.key(0), tmp_path_factory.mktemp("b"))
  return Result("s", one.kind, one.layout(tuple(networks), (0, 1), toy), arrays, about)


def test_a_straight_boundarys_tilt_is_its_normals_angle(result):
  np.testing.assert_allclose(result.arrays["tilt"], [[40, 30], [0, 5]], atol=1e-3)


def test_an_attack_leads_along_the_normal_and_the_miss_follows_from_it(result):
  toy = load("kim_toy")
  x = toy.test.x.reshape(-1, 2)
  means = [x[toy.test.y == label].mean(axis=0) for label in (0, 1)]
  for m, degrees in enumerate((40.0, 0.0)):
    normal = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
    step = result.arrays["arrow"][m, 0]
    np.testing.assert_allclose(step, -normal, atol=0.01)
    miss = np.linalg.norm(means[0] + step - means[1])
    np.testing.assert_allclose(result.arrays["miss"][m, 0], miss, rtol=1e-5)


def test_rows_that_a_boundary_crosses_twice_or_never_do_not_count():
  margins = np.array([[-1.0, 1.0, -1.0], [1.0, 1.0, 1.0], [-1.0, -1.0, 3.0]])
  found = crossings(margins, np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]))
  np.testing.assert_allclose(found, [[1.25, 2.0]])
  assert np.isnan(tilt(found))


def test_a_section_has_a_plane_and_a_row_for_each_network(result):
  section = read_study("s", {"kind": "boundary", "attack": ATTACK}).page(
    result, model_styles(["tilted", "upright"])
  )
  assert [row.heading for row in section.tables[0].groups[0].rows] == ["tilted", "upright"]
  assert len(section.pictures) == 1
  assert len(section.sheets[0].rows) == 4


def test_images_have_no_boundary_in_the_plane():
  with pytest.raises(ValueError, match="two classes of points"):
    read_study("s", {"kind": "boundary", "attack": ATTACK}).check({}, load("digits"))
