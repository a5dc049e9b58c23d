import numpy as np

from robust_saliency.data import load


def test_the_points_have_the_figures_of_the_authors_notebook():
  # A replay of the notebook, to the digits that were kept.
  split = load("kim_toy").train
  right, left = (split.x[split.y == label].reshape(-1, 2).astype(np.float64) for label in (0, 1))
  assert len(right) == len(left) == 3000
  np.testing.assert_allclose(right.mean(0), (0.4973, 0.0229), atol=5e-5)
  np.testing.assert_allclose(left.mean(0), (-0.5319, -0.0626), atol=5e-5)
  covariance = np.cov(right.T)
  np.testing.assert_allclose(covariance, [[0.01761, -0.00174], [-0.00174, 0.00035]], atol=5e-6)
  difference = right.mean(0) - left.mean(0)
  assert round(np.linalg.norm(difference), 3) == 1.033
  assert round(np.degrees(np.arctan2(*difference[::-1])), 1) == 4.7
  second = np.concatenate([right, left])[:, 1]
  assert (round(second.min(), 2), round(second.max(), 2)) == (-0.13, 0.11)


def test_low_variance_lies_along_the_direction_that_the_paper_s_covariance_says():
  split = load("kim_toy").train
  points = split.x[split.y == 0].reshape(-1, 2)
  _, axes = np.linalg.eigh(np.cov(points.T))
  angle = np.degrees(np.arctan2(axes[1, 0], axes[0, 0])) % 180
  assert abs(angle - 84.2) < 0.5


def test_one_minimum_and_one_maximum_scale_both_coordinates():
  x = load("kim_toy").train.x
  assert (x.min(), x.max()) == (-1.0, 1.0)
  assert np.abs(x[:, 0, 1]).max() < 0.2


def test_the_classes_are_shuffled_and_every_load_is_the_same():
  one, other = load("kim_toy"), load("kim_toy")
  np.testing.assert_array_equal(one.train.x, other.train.x)
  # In batches of 100 in the set's own order, both classes are in every batch.
  shares = one.train.y.reshape(60, 100).mean(1)
  assert shares.min() > 0.3
  assert shares.max() < 0.7
