"""Spectral norm against NumPy's singular values of the whole operator as a matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from robust_saliency.models.spectral import SpectralConv


def operator(kernel, shape, stride):
  """The convolution of images of a shape as a float64 matrix [outputs, pixels]."""
  with jax.enable_x64(True):
    pixels = jnp.eye(int(np.prod(shape)), dtype=jnp.float64).reshape(-1, *shape)
    images = lax.conv_general_dilated(
      pixels, jnp.asarray(kernel, jnp.float64), (stride, stride), "SAME",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    return np.asarray(images.reshape(len(pixels), -1)).T


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (4, 2)])
def test_the_largest_singular_value_becomes_1_and_not_that_of_the_kernel_as_a_matrix(size, stride):
  shape, layer = (6, 6, 3), SpectralConv(5, size, stride)
  variables = layer.init(jax.random.key(0), jnp.zeros((1, *shape)))
  kernel = 3 * variables["params"]["kernel"]
  x = jax.random.normal(jax.random.key(1), (1, *shape))
  value = np.linalg.svd(operator(kernel, shape, stride), compute_uv=False)[0]
  of_matrix = np.linalg.svd(np.reshape(kernel, (-1, 5)), compute_uv=False)[0]
  variables = {**variables, "params": {**variables["params"], "kernel": kernel}}

  @jax.jit
  def call(variables):
    return layer.apply(variables, x, train=True, mutable=["spectral"])

  for _ in range(100):
    found, updates = call(variables)
    variables = {**variables, **updates}
  plain = operator(kernel, shape, stride) @ np.asarray(x, np.float64).ravel()
  ratio = np.linalg.norm(plain) / np.linalg.norm(found)
  assert ratio == pytest.approx(value, rel=0.01)
  assert abs(of_matrix / value - 1) > 0.05
  still, updates = layer.apply(variables, x, mutable=["spectral"])
  np.testing.assert_array_equal(
    updates["spectral"]["direction"], variables["spectral"]["direction"]
  )
  np.testing.assert_allclose(still, found, atol=1e-4)


def test_a_convolution_below_1_is_left_as_it_is():
  shape, layer = (6, 6, 3), SpectralConv(5, 3)
  variables = layer.init(jax.random.key(0), jnp.zeros((1, *shape)))
  kernel = 0.01 * variables["params"]["kernel"]
  x = jax.random.normal(jax.random.key(1), (1, *shape))
  found = layer.apply({**variables, "params": {**variables["params"], "kernel": kernel}}, x)
  plain = operator(kernel, shape, 1) @ np.asarray(x, np.float64).ravel()
  np.testing.assert_allclose(np.ravel(found), plain, rtol=1e-4, atol=1e-7)
