import jax
import numpy as np
import pytest

from robust_saliency import models


def test_layers_are_those_of_the_authors_code():
  variables = jax.eval_shape(
    lambda key: models.init(models.build("noack"), key, (28, 28, 1)), jax.random.key(0)
  )
  assert jax.tree.map(lambda leaf: leaf.shape, variables["params"]) == {
    "Conv_0": {"kernel": (5, 5, 1, 32), "bias": (32,)},
    "Conv_1": {"kernel": (5, 5, 32, 64), "bias": (64,)},
    "Dense_0": {"kernel": (3136, 1024), "bias": (1024,)},
    "Dense_1": {"kernel": (1024, 10), "bias": (10,)},
  }
  assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == 3_274_634


@pytest.mark.peers
def test_weights_and_biases_start_with_the_ranges_and_spreads_of_pytorch_s():
  torch = pytest.importorskip("torch", reason="the oracle is PyTorch's own initialisation")
  torch.manual_seed(0)
  theirs = {
    "Conv_0": torch.nn.Conv2d(1, 32, 5),
    "Conv_1": torch.nn.Conv2d(32, 64, 5),
    "Dense_0": torch.nn.Linear(3136, 1024),
    "Dense_1": torch.nn.Linear(1024, 10),
  }
  ours = models.init(models.build("noack"), jax.random.key(0), (28, 28, 1))["params"]
  for name, layer in theirs.items():
    for kind, tensor in (("kernel", layer.weight), ("bias", layer.bias)):
      values, expected = np.ravel(ours[name][kind]), tensor.detach().numpy().ravel()
      limit = np.sqrt(1 / np.prod(layer.weight.shape[1:]))
      for sample in (values, expected):
        assert np.abs(sample).max() <= limit * (1 + 1e-6)
        # The standard error of a mean square of uniform numbers: limit^2 sqrt(4 / 45 / n).
        error = 4 * limit**2 * np.sqrt(4 / 45 / sample.size)
        assert abs(np.mean(sample**2) - limit**2 / 3) < error


@pytest.mark.peers
@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])
def test_logits_and_input_gradient_equal_those_of_a_pytorch_twin(
  train, compare_with_twin, dropout_mask
):
  def twin(torch, variables, train, keys):
    functional, params = torch.nn.functional, variables["params"]
    kept = dropout_mask((1024,), 0.5, train=train, keys=keys)

    def network(x):
      x = x.permute(0, 3, 1, 2)
      for i in range(2):
        layer = params[f"Conv_{i}"]
        x = functional.conv2d(x, layer["kernel"].permute(3, 2, 0, 1), layer["bias"], padding=2)
        x = functional.max_pool2d(functional.relu(x), 2)
      x = x.permute(0, 2, 3, 1).flatten(1)
      x = functional.relu(x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]) * kept
      return x @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]

    return network

  compare_with_twin(models.build("noack"), twin, (28, 28, 1), train=train)
