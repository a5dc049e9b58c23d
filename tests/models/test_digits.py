import jax
import optax
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from robust_saliency import models


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_digits_network_classifies_97_percent_of_unseen_digits(batch_norm):
  pixels, classes = load_digits(return_X_y=True)
  pixels = (pixels / 16).reshape(-1, 8, 8, 1).astype("float32")
  x, x_test, y, y_test = train_test_split(
    pixels, classes, test_size=360, stratify=classes, random_state=0
  )
  module = models.build("digits", batch_norm=batch_norm)
  variables = models.init(module, jax.random.key(0), x.shape[1:])
  apply_fn = models.training_apply(module)
  optimiser = optax.adam(4e-3)

  @jax.jit
  def step(variables, state, x, y):
    def loss(params):
      logits, batch_stats = apply_fn({**variables, "params": params}, x)
      return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), batch_stats

    gradients, batch_stats = jax.grad(loss, has_aux=True)(variables["params"])
    updates, state = optimiser.update(gradients, state)
    params = optax.apply_updates(variables["params"], updates)
    return {"params": params, "batch_stats": batch_stats}, state

  state = optimiser.init(variables["params"])
  for epoch in range(15):
    order = jax.random.permutation(jax.random.key(epoch), len(x))
    for batch in order[: len(x) // 64 * 64].reshape(-1, 64):
      variables, state = step(variables, state, x[batch], y[batch])
  assert (models.logits_fn(module, variables)(x_test).argmax(1) == y_test).mean() >= 0.97
