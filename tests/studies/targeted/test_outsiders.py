"""Readers from outside, against scikit-learn's of the same definitions."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier

from robust_saliency.data import Dataset, Split
from robust_saliency.studies.targeted import outsiders as module
from robust_saliency.studies.targeted.outsiders import linear_classifier, nearest_neighbour


@pytest.fixture(scope="module")
def dataset():
  """Bytes that stand for pixels in [-0.5, 0.5]; three classes at different brightness."""
  random = np.random.default_rng(0)
  y = random.integers(0, 3, 300).astype(np.int32)
  x = np.clip(random.normal(90 + 40 * y[:, None], 60, (300, 12)), 0, 255).astype(np.uint8)
  x[:, 5] = 7  # a pixel that is always the same
  split = Split(x.reshape(300, 3, 4, 1), y)
  scaled = {"scale": 1 / 255, "offset": -0.5, "bounds": (-0.5, 0.5)}
  return Dataset("grey", split, None, split, ("dark", "middling", "bright"), **scaled)


@pytest.fixture(scope="module")
def images():
  return np.random.default_rng(1).uniform(-0.5, 0.5, (200, 3, 4, 1)).astype(np.float32)


@pytest.mark.parametrize(
  ("ours", "theirs"),
  [
    (nearest_neighbour, KNeighborsClassifier(1, algorithm="brute")),
    (linear_classifier, RidgeClassifier(alpha=1.0)),
  ],
)
@pytest.mark.parametrize("at_once", [4096, 70])
def test_readers_are_scikit_learns_in_any_parts(
  dataset, images, monkeypatch, ours, theirs, at_once
):
  monkeypatch.setattr(module, "AT_ONCE", at_once)
  theirs.fit(dataset.to_float(dataset.train.x).reshape(300, -1), dataset.train.y)
  expected = theirs.predict(images.reshape(200, -1))
  np.testing.assert_array_equal(ours(dataset)(images), expected)
  assert len(set(expected)) == 3
