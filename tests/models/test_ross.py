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


def trained_looking_variables():
  """Variables in float64 in which no bias and no statistic is at its initial value."""
  variables = models.init(models.build("ross"), jax.random.key(0), (28, 28, 1))
  leaves, structure = jax.tree.flatten(variables)
  keys = jax.random.split(jax.random.key(1), len(leaves))
  moved = [
    leaf.astype(jnp.float64)
    + (0.1 * jax.random.uniform(key, leaf.shape, jnp.float64) if leaf.ndim == 1 else 0)
    for key, leaf in zip(keys, leaves, strict=True)
  ]
  return jax.tree.unflatten(structure, moved)


def torch_twin(torch, variables, train, dropout_mask):
  """The same network written for PyTorch, with the weights copied: x -> logits, statistics."""
  functional = torch.nn.functional
  variables = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf)), variables)
  params, running = variables["params"], variables["batch_stats"]

  def batch_norm(x, i):
    statistics = running[f"BatchNorm_{i}"]
    return functional.batch_norm(
      x,
      statistics["mean"],
      statistics["var"],
      bias=params[f"BatchNorm_{i}"]["bias"],
      training=train,
      momentum=0.1,
      eps=1e-3,
    )

  def network(x):
    x = x.permute(0, 3, 1, 2)
    for i in range(2):
      kernel = params[f"Conv_{i}"]["kernel"].permute(3, 2, 0, 1)
      x = functional.relu(batch_norm(functional.conv2d(x, kernel, padding=2), i))
      x = functional.max_pool2d(x, 2)
    x = x.permute(0, 2, 3, 1).flatten(1) @ params["Dense_0"]["kernel"]
    x = functional.relu(batch_norm(x, 2)) * dropout_mask
    return x @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"], running

  return network


@pytest.mark.peers
@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])
def test_logits_input_gradient_and_statistics_equal_those_of_a_pytorch_twin(train):
  torch = pytest.importorskip("torch", reason="the twin is written in PyTorch")
  batch = 6
  with jax.enable_x64(True):
    variables = trained_looking_variables()
    keys = jax.random.split(jax.random.key(2), batch)
    x = jax.random.uniform(jax.random.key(3), (batch, 28, 28, 1), jnp.float64)
    x = x.at[:, :8].set(0)  # a flat background, where pooling meets ties
    cotangent = jax.random.normal(jax.random.key(4), (batch, 10), jnp.float64)
    apply_fn = models.apply_fn(models.build("ross"))

    def loss(x):
      logits, statistics = apply_fn(variables, x, train=train, dropout_keys=keys)
      return jnp.vdot(cotangent, logits), (logits, statistics)

    gradient, (logits, statistics) = jax.jit(jax.grad(loss, has_aux=True))(x)
    dropout_mask = models.Dropout(0.5).apply({}, jnp.ones((batch, 1024)), train=train, keys=keys)

    network = torch_twin(torch, variables, train, torch.tensor(np.asarray(dropout_mask)))
    x_torch = torch.tensor(np.asarray(x), requires_grad=True)
    logits_torch, statistics_torch = network(x_torch)
    (logits_torch * torch.tensor(np.asarray(cotangent))).sum().backward()

  def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())

  assert_close(logits, logits_torch.detach().numpy())
  assert_close(gradient, x_torch.grad.numpy())
  for i, positions in enumerate((28 * 28, 14 * 14, 1)):
    name = f"BatchNorm_{i}"
    assert_close(statistics[name]["mean"], statistics_torch[name]["mean"].numpy())
    if train:
      # PyTorch stores the variance with Bessel's correction, the paper's code without.
      n = batch * positions
      old = np.asarray(variables["batch_stats"][name]["var"])
      corrected = (statistics_torch[name]["var"].numpy() - 0.9 * old) * (n - 1) / n + 0.9 * old
      assert_close(statistics[name]["var"], corrected)
