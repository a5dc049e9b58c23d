import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models


def sizes(tree):
  return sorted(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(("side", "hidden"), [(28, 3_211_264), (32, 4_194_304)])
def test_parameters_are_as_many_as_the_paper_s_network_has(side, hidden):
  variables = jax.eval_shape(
    lambda key: models.init(models.build("ross"), key, (side, side, 1)), jax.random.key(0)
  )
  # Two convolutions, the hidden layer, the last layer's weights and bias, and batch norm's biases.
  assert sizes(variables["params"]) == sorted([800, 51_200, hidden, 10_240, 10, 32, 64, 1024])
  assert sizes(variables["batch_stats"]) == sorted(2 * [32, 64, 1024])


def test_without_batch_norm_the_layers_have_biases_and_both_modes_differ_in_dropout_alone():
  module = models.build("ross", batch_norm=False, dropout_rate=0.0)
  variables = models.init(module, jax.random.key(0), (28, 28, 1))
  assert not variables["batch_stats"]
  expected = [800, 51_200, 3_211_264, 10_240, 10, 32, 64, 1024]
  assert sizes(variables["params"]) == sorted(expected)
  x = jax.random.uniform(jax.random.key(1), (2, 28, 28, 1))
  both = [models.apply_fn(module)(variables, x, train=train)[0] for train in (False, True)]
  np.testing.assert_array_equal(*both)


def test_weights_start_glorot_uniform_and_biases_at_zero():
  params = models.init(models.build("ross"), jax.random.key(0), (28, 28, 1))["params"]
  fans = {
    "Conv_0": 25 * (1 + 32),
    "Conv_1": 25 * (32 + 64),
    "Dense_0": 3136 + 1024,
    "Dense_1": 1024 + 10,
  }
  for name, fan in fans.items():
    limit = np.sqrt(6 / fan)
    kernel = np.abs(params[name]["kernel"])
    assert 0.99 * limit < kernel.max() <= limit
    standard_error = limit / np.sqrt(12 * kernel.size)
    assert abs(kernel.mean() - limit / 2) < 4 * standard_error
  assert not params["Dense_1"]["bias"].any()
  assert all(not params[f"BatchNorm_{i}"]["bias"].any() for i in range(3))


def torch_contrast(torch, x, mean):
  """Local contrast normalisation of images [B, 1, H, W], as the authors' code has it."""
  profile = torch.exp(-(torch.arange(-3, 4, dtype=x.dtype) ** 2) / (2 * 3**2))
  weights = torch.outer(profile, profile)
  weights = (weights / weights.sum())[None, None]
  v = x - torch.nn.functional.conv2d(x, weights, padding=3)
  d = torch.nn.functional.conv2d(v**2, weights, padding=3).sqrt()
  average = d.mean() if mean == "batch" else d.mean((1, 2, 3), keepdim=True)
  return v / torch.maximum(torch.maximum(average, d), torch.tensor(1e-4))


@pytest.mark.peers
@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("side", "contrast_mean"), [(28, None), (32, "image"), (32, "batch")])
def test_logits_input_gradient_and_statistics_equal_those_of_a_pytorch_twin(
  side, contrast_mean, train, compare_with_twin, dropout_mask
):
  def twin(torch, variables, train, keys):
    functional = torch.nn.functional
    params, running = variables["params"], variables["batch_stats"]
    kept = dropout_mask((1024,), 0.5, train=train, keys=keys)

    def batch_norm(x, i):
      statistics, bias = running[f"BatchNorm_{i}"], params[f"BatchNorm_{i}"]["bias"]
      return functional.batch_norm(
        x,
        statistics["mean"],
        statistics["var"],
        bias=bias,
        training=train,
        momentum=0.1,
        eps=1e-3,
      )

    def network(x):
      x = x.permute(0, 3, 1, 2)
      if contrast_mean is not None:
        x = torch_contrast(torch, x, contrast_mean)
      for i in range(2):
        kernel = params[f"Conv_{i}"]["kernel"].permute(3, 2, 0, 1)
        x = functional.relu(batch_norm(functional.conv2d(x, kernel, padding=2), i))
        x = functional.max_pool2d(x, 2)
      x = x.permute(0, 2, 3, 1).flatten(1) @ params["Dense_0"]["kernel"]
      x = functional.relu(batch_norm(x, 2)) * kept
      return x @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]

    return network

  batch = 4
  compare_with_twin(
    models.build("ross", contrast_mean=contrast_mean),
    twin,
    (side, side, 1),
    train=train,
    batch=batch,
    # Pixels above 0: torch's root has no slope where the contrast is none.
    bounds=(0, 1) if contrast_mean is None else (0.1, 1),
    bessel={
      "BatchNorm_0": (batch * side**2, 0.9),
      "BatchNorm_1": (batch * (side // 2) ** 2, 0.9),
      "BatchNorm_2": (batch, 0.9),
    },
  )


@pytest.mark.slow
def test_the_batch_s_contrast_is_taken_over_the_devices_and_the_real_images():
  # One program of vmap stands for the devices: the second holds one real image and one of padding.
  module = models.build("ross", contrast_mean="batch", axis_name="batch", dropout_rate=0.0)
  variables = models.init(module, jax.random.key(0), (8, 8, 1))
  x = (
    jax.random.normal(jax.random.key(1), (4, 8, 8, 1))
    * jnp.array([1.0, 2.0, 4.0, 99.0])[:, None, None, None]
  )
  mask = jnp.array([1.0, 1.0, 1.0, 0.0])

  def on_a_device(x, mask):
    return models.apply_fn(module)(variables, x, train=True, mask=mask)[0]

  spread = jax.vmap(on_a_device, axis_name="batch")(x.reshape(2, 2, 8, 8, 1), mask.reshape(2, 2))
  alone = models.apply_fn(module.clone(axis_name=None))(variables, x[:3], train=True)[0]
  np.testing.assert_allclose(spread.reshape(4, 10)[:3], alone, atol=1e-4)
