"""The transposed convolution against JAX's transpose of JAX's convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from robust_saliency.models.transposed import TransposedConv

CASES = [(4, 2, "SAME"), (4, 1, "VALID"), (3, 1, "SAME"), (4, 2, "VALID")]


@pytest.mark.parametrize(("kernel", "stride", "padding"), CASES)
def test_it_is_the_transpose_of_a_convolution_with_the_same_kernel(kernel, stride, padding):
  random = np.random.default_rng(0)
  weights = random.normal(size=(kernel, kernel, 2, 3))
  with jax.enable_x64(True):
    x = jnp.asarray(random.normal(size=(2, 5, 6, 2)))
    layer = TransposedConv(3, kernel, stride, padding)
    variables = {"params": {"kernel": jnp.asarray(weights), "bias": jnp.array([1.0, 2.0, 3.0])}}
    ours = layer.apply(variables, x)

    def convolution(image):
      return lax.conv_general_dilated(
        image, jnp.asarray(weights.swapaxes(2, 3)), (stride, stride), padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
      )  # fmt: skip

    output = jax.ShapeDtypeStruct(ours.shape, jnp.float64)
    (theirs,) = jax.linear_transpose(convolution, output)(x)
  expected = np.asarray(theirs) + np.array([1.0, 2.0, 3.0])
  np.testing.assert_allclose(ours, expected, rtol=1e-10)


@pytest.mark.parametrize(
  ("fields", "sentence"),
  [
    ({"kernel": 3, "stride": 2}, "kernel must be a multiple of stride 2, got 3"),
    ({"kernel": 4, "padding": "FULL"}, "padding must be one of SAME, VALID; got 'FULL'"),
  ],
)
def test_what_it_cannot_do_is_refused(fields, sentence):
  with pytest.raises(ValueError, match=sentence):
    TransposedConv(3, **fields).init(jax.random.key(0), jnp.ones((1, 4, 4, 1)))
