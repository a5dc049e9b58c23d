import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models

SETTINGS = [
  ("digits", {}),
  ("digits", {"batch_norm": True}),
  ("ross", {}),
  ("mlp", {"hidden": (16,), "dropout_rate": 0.2}),
]


def module_and_variables(name, fields):
  module = models.build(name, **fields)
  return module, models.init(module, jax.random.key(0), (8, 8, 1))


def batch(size=16):
  x = jax.random.uniform(jax.random.key(1), (size, 8, 8, 1))
  return x, jax.random.split(jax.random.key(2), size)


def penalised_loss(apply_fn, variables, x, keys, mask=None):
  """Double backprop: what asks most of a network."""

  def loss(x):
    logits, collections = apply_fn(variables, x, train=True, mask=mask, dropout_keys=keys)
    per_example = jax.nn.logsumexp(logits, axis=-1) - logits[:, 0]
    return jnp.sum(per_example if mask is None else mask * per_example), collections

  (value, collections), gradient = jax.value_and_grad(loss, has_aux=True)(x)
  return value + jnp.sum(gradient**2), collections


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fields"), SETTINGS, ids=str)
def test_training_on_eight_devices_equals_training_on_one(name, fields):
  module, variables = module_and_variables(name, fields)
  x, keys = batch()
  mask = jnp.ones(16).at[jnp.array([1, 4, 5, 15])].set(0)

  def gradients(module):
    def of_this_device(params, x, keys, mask):
      apply_fn = models.apply_fn(module)
      return penalised_loss(apply_fn, {**variables, "params": params}, x, keys, mask)

    return jax.grad(of_this_device, has_aux=True)

  one, collections = jax.jit(gradients(module))(variables["params"], x, keys, mask)

  def step(params, x, keys, mask):
    in_params, collections = gradients(module.clone(axis_name="batch"))(params, x, keys, mask)
    return jax.lax.psum(in_params, "batch"), collections

  eight = jax.pmap(step, axis_name="batch", in_axes=(None, 0, 0, 0), out_axes=None)(
    variables["params"], x.reshape(8, 2, 8, 8, 1), keys.reshape(8, 2), mask.reshape(8, 2)
  )
  for a, b in zip(jax.tree.leaves(eight), jax.tree.leaves((one, collections)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * float(jnp.abs(b).max()) + 1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fields"), SETTINGS, ids=str)
def test_training_lowers_for_every_platform_and_runs_where_it_was_lowered(name, fields):
  module, variables = module_and_variables(name, fields)
  x, keys = batch(9)
  keys = jax.random.key_data(keys)

  @jax.jit
  def step(params, x, keys):
    def loss(params):
      variables_now = {**variables, "params": params}
      return penalised_loss(models.apply_fn(module), variables_now, x, keys)[0]

    return jax.grad(loss)(params)

  exported = jax.export.export(step, platforms=["tpu", "cuda", "cpu"])(variables["params"], x, keys)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    exported.call(variables["params"], x, keys),
    step(variables["params"], x, keys),
  )


def test_evaluation_is_a_function_of_each_example_alone_and_changes_no_statistics():
  module, variables = module_and_variables("ross", {})
  x, _ = batch(4)
  logits = models.logits_fn(module, variables)(x)
  np.testing.assert_allclose(
    models.logits_fn(module, variables)(x[1:2]), logits[1:2], rtol=1e-5, atol=1e-6
  )
  evaluated, collections = models.apply_fn(module)(variables, x, train=False)
  np.testing.assert_array_equal(evaluated, logits)
  assert collections["batch_stats"] is variables["batch_stats"]


@pytest.mark.parametrize("name", ["digits", "ross"])
def test_batch_statistics_may_be_absent_where_training_makes_them(name):
  module, variables = module_and_variables(name, {})
  x, keys = batch(4)
  with_empty = models.apply_fn(module)(variables, x, train=True, dropout_keys=keys)
  without = models.apply_fn(module)(
    {"params": variables["params"]}, x, train=True, dropout_keys=keys
  )
  jax.tree.map(np.testing.assert_array_equal, with_empty, without)


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8, 1), (0, 8, 1)])
def test_an_input_shape_that_is_no_image_is_refused(shape):
  with pytest.raises(ValueError, match="input_shape must be"):
    models.init(models.build("mlp"), jax.random.key(0), shape)
