"""Whatever a module updates in training reaches the next step, evaluation and checkpoints."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.data import Dataset, Split
from robust_saliency.training import Network, Recipe, checkpoints


class Spectral(nn.Module):
  """A linear network divided by its largest singular value, found by one iteration a pass."""

  num_classes: int = 3
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x, train=False, mask=None, dropout_keys=None):
    x = x.reshape(len(x), -1)
    kernel = self.param("kernel", nn.initializers.normal(1.0), (x.shape[-1], self.num_classes))
    u = self.variable("spectral", "u", jnp.ones, (self.num_classes,))
    if train and not self.is_initializing():
      moved = jax.lax.stop_gradient(kernel.T @ (kernel @ u.value))
      u.value = moved / jnp.linalg.norm(moved)
    return x @ kernel / jnp.linalg.norm(kernel @ jax.lax.stop_gradient(u.value))


SETTINGS = {
  "architecture": {"name": "spectral"},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "sgd", "learning_rate": 1e-20},
  "batch_size": 12,
  "checkpoint_every": 5,
}


@pytest.fixture
def dataset(monkeypatch):
  monkeypatch.setitem(models.registry.MODELS, "spectral", Spectral)
  random = np.random.default_rng(0)
  split = Split(
    random.uniform(size=(20, 2, 2, 1)).astype(np.float32),
    random.integers(0, 3, 20).astype(np.int32),
  )
  return Dataset("noise", split, None, split, ("a", "b", "c"))


def test_a_power_iteration_goes_on_from_step_to_step_and_into_evaluation(dataset, tmp_path):
  network = Network("net", Recipe.from_config({**SETTINGS, "steps": 40}), dataset)
  network.check()
  trained = network.train(0, tmp_path)
  assert sorted(trained.variables) == ["batch_stats", "params", "spectral"]
  kernel = np.asarray(trained.variables["params"]["kernel"], np.float64)
  largest = np.linalg.svd(kernel)[1][0]
  x = dataset.train.x
  np.testing.assert_allclose(
    trained.logits_fn(jnp.asarray(x)), x.reshape(20, -1) @ kernel / largest, rtol=1e-4, atol=1e-5
  )
  before = network.untrained(0).logits_fn(jnp.asarray(x))
  assert np.abs(before - x.reshape(20, -1) @ kernel / largest).max() > 1e-2


def test_a_checkpoint_holds_it_and_a_run_goes_on_with_it(dataset, tmp_path):
  def trained(steps, name):
    settings = {**SETTINGS, "optimizer": {"name": "sgd", "learning_rate": 0.1}, "steps": steps}
    network = Network("net", Recipe.from_config(settings), dataset)
    return network, network.train(0, tmp_path / name).variables

  _, straight = trained(7, "straight")
  network, halfway = trained(3, "resumed")
  _, resumed = trained(7, "resumed")
  jax.tree.map(np.testing.assert_array_equal, straight, resumed)
  assert np.abs(halfway["spectral"]["u"] - resumed["spectral"]["u"]).max() > 1e-4
  like = network.trainer.initial_state(0)
  saved = checkpoints.restore(tmp_path / "resumed" / "checkpoints", like)
  np.testing.assert_array_equal(saved.state.collections["spectral"]["u"], resumed["spectral"]["u"])


def test_evaluation_changes_no_collection_and_training_changes_all(dataset):
  module = Spectral()
  variables = models.init(module, jax.random.key(0), (2, 2, 1))
  x = jnp.asarray(dataset.train.x)
  _, evaluated = models.apply_fn(module)(variables, x, train=False)
  assert evaluated["spectral"] is variables["spectral"]
  _, updated = models.apply_fn(module)(variables, x, train=True)
  assert jax.tree.structure(updated) == jax.tree.structure(evaluated)
  assert np.abs(updated["spectral"]["u"] - variables["spectral"]["u"]).max() > 1e-2
