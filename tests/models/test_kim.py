import jax
import numpy as np
import pytest

from robust_saliency import models

# (features of the convolutions, their kernels, after which of them a pooling comes, hidden units)
NETWORKS = {
  "kim_mnist": ((28, 28, 1), (32, 64), 5, (1,), 1024),
  "kim_cifar": ((32, 32, 3), (32, 32, 64, 64), 3, (1, 3), 512),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_are_those_of_the_paper(name):
  (height, width, channels), features, size, pooled, hidden = NETWORKS[name]
  variables = jax.eval_shape(
    lambda key: models.init(models.build(name), key, (height, width, channels)), jax.random.key(0)
  )
  expected = {}
  for i, (before, after) in enumerate(zip((channels, *features), features, strict=False)):
    expected[f"Conv_{i}"] = {"kernel": (size, size, before, after), "bias": (after,)}
  flat = height * width * features[-1] // 4 ** len(pooled)
  expected["Dense_0"] = {"kernel": (flat, hidden), "bias": (hidden,)}
  expected["Dense_1"] = {"kernel": (hidden, 10), "bias": (10,)}
  assert jax.tree.map(lambda leaf: leaf.shape, variables["params"]) == expected
  assert variables["batch_stats"] == {}


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("name", NETWORKS)
def test_weights_start_glorot_uniform_and_biases_at_zero(name):
  params = models.init(models.build(name), jax.random.key(0), NETWORKS[name][0])["params"]
  for layer in params.values():
    *window, before, after = layer["kernel"].shape
    limit = np.sqrt(6 / (np.prod(window) * (before + after)))
    kernel = np.abs(layer["kernel"])
    assert 0.98 * limit < kernel.max() <= limit
    assert abs(kernel.mean() - limit / 2) < 4 * limit / np.sqrt(12 * kernel.size)
    assert not layer["bias"].any()


@pytest.mark.peers
@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("name", NETWORKS)
def test_logits_and_input_gradient_equal_those_of_a_pytorch_twin(name, train, compare_with_twin):
  image_shape, features, size, pooled, _ = NETWORKS[name]

  def twin(torch, variables, train, keys):
    functional, params = torch.nn.functional, variables["params"]

    def network(x):
      x = x.permute(0, 3, 1, 2)
      for i in range(len(features)):
        kernel = params[f"Conv_{i}"]["kernel"].permute(3, 2, 0, 1)
        x = functional.relu(
          functional.conv2d(x, kernel, params[f"Conv_{i}"]["bias"], padding=size // 2)
        )
        if i in pooled:
          x = functional.max_pool2d(x, 2)
      x = x.permute(0, 2, 3, 1).flatten(1)
      x = functional.relu(x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"])
      return x @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]

    return network

  compare_with_twin(models.build(name), twin, image_shape, train=train, bounds=(-1, 1))
