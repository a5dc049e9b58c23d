"""The plane of principal components, and shares of vectors in subspaces, against scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from robust_saliency.studies.manifold.planes import principal_plane, share_inside


@pytest.fixture
def images():
  random = np.random.default_rng(0)
  return random.normal(size=(60, 4, 4, 1)) * np.linspace(0.2, 3.0, 16).reshape(4, 4, 1) + 5


def test_distances_are_those_that_scikit_learn_s_components_leave(images):
  plane, others = principal_plane(images, 3), images[:20] + 0.7
  pca = PCA(n_components=3, svd_solver="full").fit(images.reshape(60, -1))
  flat = others.reshape(20, -1)
  again = pca.inverse_transform(pca.transform(flat))
  np.testing.assert_allclose(
    plane.distance(others), np.linalg.norm(flat - again, axis=1), rtol=1e-10
  )
  np.testing.assert_allclose(np.abs(plane.directions @ pca.components_.T), np.eye(3), atol=1e-9)


def test_more_components_than_pixels_are_refused(images):
  with pytest.raises(ValueError, match="components must be between 1 and 16, got 17"):
    principal_plane(images, 17)


def test_a_share_is_that_of_the_least_squares_fit_for_each_vector():
  random = np.random.default_rng(1)
  columns, vectors = random.normal(size=(5, 9, 2)), random.normal(size=(5, 9))
  bases = np.linalg.qr(columns)[0].swapaxes(1, 2)
  expected = []
  for matrix, vector in zip(columns, vectors, strict=True):
    _, (residual,), *_ = np.linalg.lstsq(matrix, vector)
    expected.append(1 - residual / (vector @ vector))
  np.testing.assert_allclose(share_inside(vectors, bases), expected, rtol=1e-10)


def test_a_tiny_gradient_has_a_share_too():
  share = share_inside(np.array([[3e-40, 4e-40]], np.float32), np.array([[0.0, 1.0]]))
  np.testing.assert_allclose(share, 0.64, rtol=1e-4)
