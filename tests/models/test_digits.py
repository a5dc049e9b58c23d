import jax
import optax
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from robust_saliency import models


@pytest.mark.slow
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_digits_network_classifies_97_percent_of_unseen_digits(batch_norm):
  pixels, classes = load_digits(return_X_y=True)
  pixels = (pixels / 16).reshape(-1, 8, 8, 1).astype("float32")
  x, x_test, y, y_test = train_test_split(
    pixels, classes, test_size=360, stratify=classes, random_state=0
  )
  module = models.build("digits", batch_norm=batch_norm)
  variables = models.init(module, jax.random.key(0), x.shape[1:])
  apply_fn = models.apply_fn(module)
  optimiser = optax.adam(4e-3)

  @jax.jit
  def step(variables, state, x, y):
    def loss(params):
      logits, collections = apply_fn({**variables, "params": params}, x, train=True)
      return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), collections

    gradients, collections = jax.grad(loss, has_aux=True)(variables["params"])
    updates, state = optimiser.update(gradients, state)
    params = optax.apply_updates(variables["params"], updates)
    return {"params": params, **collections}, state

  state = optimiser.init(variables["params"])
  for epoch in range(15):
    order = jax.random.permutation(jax.random.key(epoch), len(x))
    for batch in order[: len(x) // 64 * 64].reshape(-1, 64):
      variables, state = step(variables, state, x[batch], y[batch])
  assert (models.logits_fn(module, variables)(x_test).argmax(1) == y_test).mean() >= 0.97


@pytest.mark.peers
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])
def test_logits_input_gradient_and_statistics_equal_those_of_a_pytorch_twin(
  train, batch_norm, compare_with_twin
):
  def twin(torch, variables, train, keys):
    functional, params = torch.nn.functional, variables["params"]

    def activate(x, i):
      if batch_norm:
        norm, running = params[f"BatchNorm_{i}"], variables["batch_stats"][f"BatchNorm_{i}"]
        x = functional.batch_norm(
          x, running["mean"], running["var"], None, norm["bias"], train, 0.1, 1e-3
        )
      return functional.relu(x)

    def network(x):
      x = x.permute(0, 3, 1, 2)
      for i in range(2):
        layer = params[f"Conv_{i}"]
        x = functional.conv2d(x, layer["kernel"].permute(3, 2, 0, 1), layer.get("bias"), padding=1)
        x = functional.max_pool2d(activate(x, i), 2)
      x = x.permute(0, 2, 3, 1).flatten(1) @ params["Dense_0"]["kernel"]
      x = activate(x + params["Dense_0"].get("bias", 0), 2)
      return x @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]

    return network

  batch = 4
  compare_with_twin(
    models.build("digits", batch_norm=batch_norm),
    twin,
    (8, 8, 1),
    train=train,
    batch=batch,
    bessel={
      "BatchNorm_0": (batch * 64, 0.9),
      "BatchNorm_1": (batch * 16, 0.9),
      "BatchNorm_2": (batch, 0.9),
    },
  )
