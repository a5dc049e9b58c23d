import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.models import first_max_pool


def images(kind, shape, dtype=jnp.float32):
  if kind == "flat":
    return jnp.full(shape, 0.5, dtype)
  x = jax.random.normal(jax.random.key(0), shape, dtype)
  return jnp.round(x) if kind == "few levels" else x


def stock(x, window):
  return nn.max_pool(x, window, strides=window)


@pytest.mark.parametrize("window", [(2, 2), (3, 2), (1, 4), (1, 1)], ids=str)
@pytest.mark.parametrize("kind", ["flat", "few levels", "distinct"])
def test_value_and_gradient_equal_those_of_max_pool_to_the_bit(kind, window):
  x = images(kind, (3, 6, 8, 2))
  y, pullback = jax.vjp(lambda x: first_max_pool(x, window), x)
  expected, expected_pullback = jax.vjp(lambda x: stock(x, window), x)
  np.testing.assert_array_equal(y, expected)
  g = jax.random.normal(jax.random.key(1), y.shape)
  np.testing.assert_array_equal(pullback(g)[0], expected_pullback(g)[0])


@pytest.mark.parametrize("size", [(7, 8), (6, 5), (9, 9)], ids=str)
def test_rows_and_columns_beyond_the_last_whole_tile_are_left_out(size):
  x = images("distinct", (2, *size, 3))
  np.testing.assert_array_equal(
    first_max_pool(x), first_max_pool(x[:, : size[0] // 2 * 2, : size[1] // 2 * 2])
  )


@pytest.mark.parametrize("kind", ["flat", "few levels", "distinct"])
def test_second_derivatives_equal_those_of_max_pool_in_float64(kind):
  with jax.enable_x64(True):
    x = images(kind, (2, 4, 6, 2), jnp.float64)

    def hessian_times_x(pool):
      def loss(x):
        return jnp.sum(jnp.sin(3 * pool(x, (2, 2))))

      return jax.grad(lambda x: jnp.vdot(jax.grad(loss)(x), jax.lax.stop_gradient(x)))(x)

    np.testing.assert_allclose(hessian_times_x(first_max_pool), hessian_times_x(stock), rtol=1e-12)


@pytest.mark.parametrize("position", range(4))
def test_nan_is_not_hidden(position):
  tile = jnp.arange(4.0).at[position].set(jnp.nan)
  assert jnp.isnan(first_max_pool(tile.reshape(1, 2, 2, 1))).all()


def test_its_compiled_gradient_behind_an_activated_convolution_is_that_of_max_pool():
  x, kernel = images("distinct", (2, 8, 8, 1)), images("distinct", (3, 3, 1, 4))
  weights = images("distinct", (2, 4, 4, 4))

  def gradient(pool):
    def loss(x):
      maps = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
      )
      return jnp.sum(weights * pool(jnp.tanh(maps), (2, 2)))

    return jax.jit(jax.grad(loss))(x)

  np.testing.assert_allclose(gradient(first_max_pool), gradient(stock), rtol=1e-4, atol=1e-5)
