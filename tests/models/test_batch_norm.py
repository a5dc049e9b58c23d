import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.models import BatchNorm

# How many of the two examples on each of eight devices are real; one device has none.
REAL = [2, 1, 0, 2, 1, 1, 2, 2]


def padded_batch(shape=(3, 2, 4)):
  x = 5 + jax.random.normal(jax.random.key(0), (16, *shape)) * jnp.arange(1.0, 5)
  mask = jnp.array([[1, 1] if n == 2 else [n, 0] for n in REAL]).reshape(16)
  return jnp.where(mask.reshape(16, 1, 1, 1) == 1, x, 1e3), mask


def ours(axis_name=None, **settings):
  return BatchNorm(axis_name, use_scale=True, **settings)


def stock():
  return nn.BatchNorm(momentum=0.9, epsilon=1e-3, use_fast_variance=False)


def a_variable_set():
  return {
    "params": {"bias": jnp.arange(4.0), "scale": 1 + jnp.arange(4.0)},
    "batch_stats": {"mean": jnp.linspace(1, 2, 4), "var": jnp.linspace(2, 3, 4)},
  }


def test_variables_are_laid_out_as_in_flax():
  x = jnp.ones((2, 3, 3, 4))
  of_flax = stock().init(jax.random.key(0), x, use_running_average=True)
  of_ours = ours().init(jax.random.key(0), x, train=False)
  jax.tree.map(np.testing.assert_array_equal, of_ours, of_flax)


@pytest.mark.parametrize("shape", [(4,), (3, 2, 4)], ids=str)
def test_one_unpadded_batch_is_normalised_as_by_flax(shape):
  x = jax.random.normal(jax.random.key(0), (6, *shape)) + 3
  variables = a_variable_set()
  expected, new = stock().apply(variables, x, use_running_average=False, mutable=["batch_stats"])
  y, ours_new = ours().apply(variables, x, train=True, mutable=["batch_stats"])
  np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), ours_new, new)
  np.testing.assert_allclose(
    ours().apply(variables, x, train=False),
    stock().apply(variables, x, use_running_average=True),
    rtol=1e-6,
  )


def test_eight_devices_with_uneven_padding_equal_flax_on_the_real_examples_alone():
  x, mask = padded_batch()
  real = x[mask == 1]
  weights = jax.random.normal(jax.random.key(1), x.shape)

  def on_one_device(params, real):
    y, new = stock().apply(
      {**a_variable_set(), "params": params},
      real,
      use_running_average=False,
      mutable=["batch_stats"],
    )
    return jnp.sum(weights[mask == 1] * jnp.sin(y)), (y, new["batch_stats"])

  (_, (y, statistics)), gradients = jax.value_and_grad(on_one_device, (0, 1), has_aux=True)(
    a_variable_set()["params"], real
  )

  def on_this_device(params, x, mask, weights):
    y, new = ours("batch").apply(
      {**a_variable_set(), "params": params}, x, train=True, mask=mask, mutable=["batch_stats"]
    )
    per_example = jnp.sum(weights * jnp.sin(y), (1, 2, 3))
    return jnp.sum(mask * per_example), (y, new["batch_stats"])

  def step(x, mask, weights):
    (_, aux), (in_params, in_x) = jax.value_and_grad(on_this_device, (0, 1), has_aux=True)(
      a_variable_set()["params"], x, mask, weights
    )
    return aux, jax.lax.psum(in_params, "batch"), in_x

  def split(a):
    return a.reshape(8, 2, *a.shape[1:])

  (mapped_y, mapped_statistics), in_params, in_x = jax.pmap(step, axis_name="batch")(
    split(x), split(mask), split(weights)
  )
  close = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)  # noqa: E731
  close(mapped_y.reshape(x.shape)[mask == 1], y)
  for device in range(8):
    jax.tree.map(lambda a, b, d=device: close(a[d], b), mapped_statistics, statistics)
    jax.tree.map(lambda a, b, d=device: close(a[d], b), in_params, gradients[0])
  close(in_x.reshape(x.shape)[mask == 1], gradients[1])
  np.testing.assert_array_equal(in_x.reshape(x.shape)[mask == 0], 0)


def test_second_derivatives_do_not_depend_on_the_number_of_devices():
  x, mask = padded_batch()

  def penalty(x, mask, axis_name):
    def loss(x, scale):
      variables = a_variable_set()
      variables["params"]["scale"] = scale
      y = ours(axis_name).apply(variables, x, train=True, mask=mask)
      return jnp.sum(mask * jnp.sin(y).sum((1, 2, 3)))

    scale = jnp.ones(4)
    return jax.grad(lambda scale: jnp.sum(jax.grad(loss)(x, scale) ** 2))(scale)

  mapped = jax.pmap(
    lambda x, mask: jax.lax.psum(penalty(x, mask, "batch"), "batch"), axis_name="batch"
  )(x.reshape(8, 2, *x.shape[1:]), mask.reshape(8, 2))
  np.testing.assert_allclose(mapped[3], penalty(x, mask, None), rtol=1e-4)


def test_a_batch_of_padding_alone_gives_finite_numbers():
  y = ours().apply(a_variable_set(), jnp.ones((2, 4)), train=True, mask=jnp.zeros(2))
  assert jnp.isfinite(y).all()


def test_variance_survives_a_mean_that_is_large_beside_it():
  x = 1e4 + jnp.array([[0.0], [1.0], [2.0], [3.0]])
  variables = {"params": {"bias": jnp.zeros(1)}, "batch_stats": {}}
  y = BatchNorm(epsilon=0.0).apply(
    {**variables, "batch_stats": {"mean": jnp.zeros(1), "var": jnp.ones(1)}}, x, train=True
  )
  np.testing.assert_allclose(y.squeeze(), (np.arange(4) - 1.5) / np.sqrt(1.25), rtol=1e-6)
