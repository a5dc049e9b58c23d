import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models


def test_a_perceptron_without_hidden_layers_is_linear():
  module = models.build("mlp", hidden=(), num_classes=3)
  variables = models.init(module, jax.random.key(0), (2, 3, 2))
  x = jax.random.normal(jax.random.key(1), (5, 2, 3, 2))
  layer = variables["params"]["Dense_0"]
  np.testing.assert_allclose(
    models.logits_fn(module, variables)(x),
    np.asarray(x).reshape(5, -1) @ layer["kernel"] + layer["bias"],
    rtol=1e-5,
  )


def test_a_hidden_layer_is_a_relu_of_a_linear_map():
  module = models.build("mlp", hidden=[7], num_classes=3)
  variables = models.init(module, jax.random.key(0), (2, 2, 1))
  x = jax.random.normal(jax.random.key(1), (5, 2, 2, 1))
  first, last = (variables["params"][f"Dense_{i}"] for i in range(2))
  hidden = np.maximum(np.asarray(x).reshape(5, -1) @ first["kernel"] + first["bias"], 0)
  np.testing.assert_allclose(
    models.logits_fn(module, variables)(x), hidden @ last["kernel"] + last["bias"], rtol=1e-5
  )


def test_dropout_needs_keys_in_training_mode_only():
  module = models.build("mlp", dropout_rate=0.5)
  variables = models.init(module, jax.random.key(0), (2, 2, 1))
  x = jnp.ones((3, 2, 2, 1))
  with pytest.raises(ValueError, match="dropout_keys must be given"):
    models.apply_fn(module)(variables, x, train=True)
  keys = jax.random.split(jax.random.key(1), 3)
  dropped, _ = models.apply_fn(module)(variables, x, train=True, dropout_keys=keys)
  assert (dropped[0] != dropped[1]).any()
  np.testing.assert_array_equal(*models.logits_fn(module, variables)(x)[:2])


def test_weights_start_glorot_uniform_where_that_is_asked_for():
  # Kim et al.'s network for the toy mixture.
  module = models.build("mlp", hidden=(128,), num_classes=2, kernel_init="glorot_uniform")
  kernel = models.init(module, jax.random.key(0), (1, 2, 1))["params"]["Dense_0"]["kernel"]
  limit = np.sqrt(6 / (2 + 128))
  assert kernel.shape == (2, 128)
  assert 0.95 * limit < np.abs(kernel).max() <= limit
  assert abs(np.abs(kernel).mean() - limit / 2) < 4 * limit / np.sqrt(12 * kernel.size)
  with pytest.raises(ValueError, match="kernel_init must be one of lecun_normal, glorot_uniform"):
    models.init(models.build("mlp", kernel_init="he"), jax.random.key(0), (1, 2, 1))


@pytest.mark.peers
@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])
def test_logits_and_input_gradient_equal_those_of_a_pytorch_twin(
  train, compare_with_twin, dropout_mask
):
  widths, rate = (16, 12), 0.4

  def twin(torch, variables, train, keys):
    params = variables["params"]

    def network(x):
      x = x.flatten(1)
      for i, width in enumerate(widths):
        layer = params[f"Dense_{i}"]
        kept = dropout_mask((width,), rate, train=train, keys=keys, layer=i)
        x = torch.relu(torch.nn.functional.linear(x, layer["kernel"].T, layer["bias"])) * kept
      return torch.nn.functional.linear(x, params["Dense_2"]["kernel"].T, params["Dense_2"]["bias"])

    return network

  module = models.build("mlp", hidden=widths, dropout_rate=rate)
  compare_with_twin(module, twin, (4, 3, 2), train=train)
