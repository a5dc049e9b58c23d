"""Controls of class maps against NumPy's variance and scikit-learn's F."""

import numpy as np
import pytest
from sklearn.feature_selection import f_classif

from robust_saliency.data import Dataset, Split
from robust_saliency.studies.class_maps.controls import anova_f, variance


@pytest.fixture(scope="module", params=[1, 3])
def dataset(request):
  random = np.random.default_rng(0)
  y = random.integers(0, 3, 90).astype(np.int32)
  x = (
    random.integers(0, 200, (90, 4, 3, request.param)).astype(np.uint8) + 7 * y[:, None, None, None]
  )
  x[:, 0, 0] = 5  # never varies
  train = Split(x.astype(np.uint8), y)
  return Dataset("bytes", train, None, train, ("a", "b", "c"), 2 / 255, -1.0, (-1.0, 1.0))


def test_the_variance_is_numpys_of_float_images_summed_over_channels(dataset):
  of_classes, overall = variance(dataset)
  x = dataset.to_float(dataset.train.x).astype(np.float64)
  np.testing.assert_allclose(overall, x.var(axis=0).sum(axis=-1), rtol=1e-6, atol=1e-12)
  for c in range(3):
    expected = x[dataset.train.y == c].var(axis=0).sum(axis=-1)
    np.testing.assert_allclose(of_classes[c], expected, rtol=1e-6, atol=1e-12)


def test_f_is_scikit_learns_of_all_classes_and_of_one_against_the_rest(dataset):
  of_classes, overall = anova_f(dataset)
  flat = dataset.train.x.reshape(90, -1).astype(np.float64)
  varies = flat.std(axis=0) > 0

  def expected(labels):
    found = np.zeros(flat.shape[1])
    found[varies] = f_classif(flat[:, varies], labels)[0]
    return found.reshape(dataset.image_shape).sum(axis=-1)

  np.testing.assert_allclose(overall, expected(dataset.train.y), rtol=1e-6)
  for c in range(3):
    np.testing.assert_allclose(of_classes[c], expected(dataset.train.y == c), rtol=1e-6)
  assert overall[0, 0] == 0


def test_a_pixel_that_tells_classes_apart_without_fail_has_the_largest_number():
  random = np.random.default_rng(1)
  y = np.repeat([0, 1], 20).astype(np.int32)
  x = random.uniform(size=(40, 1, 3, 1)).astype(np.float32)
  x[:, 0, 0, 0], x[:, 0, 1, 0] = y, 0.5
  split = Split(x, y)
  of_classes, overall = anova_f(Dataset("told", split, None, split, ("no", "yes")))
  assert np.isfinite(overall).all()
  assert overall[0, 0] == overall.max() > 0 == overall[0, 1]
  np.testing.assert_allclose(of_classes[0], of_classes[1])
