"""The maps of linear networks are their weights, whose numbers NumPy computes."""

import dataclasses

import jax
import linear
import numpy as np
import pytest

from robust_saliency.studies.map_quality import MapQuality
from robust_saliency.studies.study import run_study

KEY = jax.random.key(0)


def dead_network():
  variables = jax.tree.map(np.zeros_like, linear.network(0).variables)
  return dataclasses.replace(linear.network(0), variables=variables)


@pytest.fixture
def result(dataset, tmp_path):
  networks = {"plain": [linear.network(0), linear.network(1)], "dead": [dead_network()] * 2}
  attribution = {"name": "gradient", "label": "Gradient"}
  study = MapQuality(attribution=attribution, examples=30, batch_size=16)
  return run_study("q", study, networks, dataset, key=KEY, seeds=(0, 1), directory=tmp_path)


def test_the_numbers_are_those_of_the_weights(result, dataset):
  x, y = dataset.test.x[:30].reshape(30, 4), dataset.test.y[:30]
  for seed in range(2):
    maps = linear.weights(seed)[:, y].T
    a, b, c, d = maps.T
    variation = abs(a - b) + abs(c - d) + abs(a - c) + abs(b - d)
    centred = x - x.mean(axis=1, keepdims=True)
    cosine = (centred * maps).sum(axis=1) / (
      np.linalg.norm(centred, axis=1) * np.linalg.norm(maps, axis=1)
    )
    found = {name: result.at(name, model="plain", seed=seed) for name in result.arrays}
    sizes = abs(maps).sum(axis=1)
    np.testing.assert_allclose(found["total_variation"], variation / sizes, rtol=1e-5)
    np.testing.assert_allclose(found["alignment"], abs(cosine), rtol=1e-3, atol=1e-5)
    ordered = np.sort(abs(maps), axis=1) @ [-3, -1, 1, 3] / 4
    np.testing.assert_allclose(found["gini"], ordered / sizes, rtol=1e-4)
    assert not found["is_zero"].any()


def test_a_map_of_zeros_is_said_to_be_one(result):
  assert result.arrays["is_zero"][1].all()
  for name in ("total_variation", "gini", "alignment"):
    assert np.isnan(result.arrays[name][1]).all()


def test_the_metadata_name_the_method(result):
  assert result.metadata["method"] == {"name": "gradient", "label": "Gradient"}


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"attribution": {"name": "gradiant"}}, r"attribution: .*did you mean 'gradient'\?"),
    (
      {"attribution": {"name": "gradient"}, "examples": 38},
      "examples must be between 1 and 37, got 38",
    ),
  ],
)
def test_what_could_not_be_measured_is_refused_before_anything_runs(dataset, settings, sentence):
  with pytest.raises(ValueError, match=sentence):
    MapQuality(**settings).check({"plain": linear.network(0).module}, dataset)
