import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency import models
from robust_saliency.data import Dataset, Split
from robust_saliency.training import Network, Recipe, trainers

SETTINGS = {
  "architecture": {"name": "mlp", "hidden": ()},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "sgd", "learning_rate": 0.5},
  "batch_size": 8,
  "steps": 3,
}


@pytest.fixture
def dataset():
  random = np.random.default_rng(0)
  split = Split(random.uniform(size=(16, 2, 2, 1)).astype(np.float32), np.arange(16) % 2)
  return Dataset("noise", split, None, split, ("a", "b"))


def two_optimizers(recipe, dataset):
  """Kernel and bias are moved in turn, each by an optimiser of its own."""
  module = models.build("mlp", hidden=(), num_classes=2)
  fast, slow = optax.sgd(1.0), optax.sgd(0.25)

  @flax.struct.dataclass
  class State:
    kernel: jax.Array
    bias: jax.Array
    fast: optax.OptState
    slow: optax.OptState

    @property
    def evaluation_variables(self):
      return {"params": {"Dense_0": {"kernel": self.kernel, "bias": self.bias}}, "batch_stats": {}}

  def initial_state(seed):
    kernel, bias = jnp.zeros((4, 2)), jnp.zeros(2)
    return State(kernel, bias, fast.init(kernel), slow.init(bias))

  def step(objective):
    def one(state, data, indices):
      moved, state_of_fast = fast.update(jnp.ones((4, 2)), state.fast)
      state = state.replace(kernel=state.kernel + moved, fast=state_of_fast)
      # The second sees what the first has done.
      moved, state_of_slow = slow.update(jnp.sum(state.kernel, axis=0), state.slow)
      state = state.replace(bias=state.bias + moved, slow=state_of_slow)
      return state, {"seen": jax.lax.psum(jnp.sum(indices >= 0), "batch")}

    return one

  return trainers.Trainer(module, initial_state, step)


def test_a_trainer_with_two_optimisers_trains_in_the_same_loop(dataset, tmp_path, monkeypatch):
  monkeypatch.setitem(trainers.TRAINERS, "in_turn", two_optimizers)
  network = Network("net", Recipe.from_config({**SETTINGS, "trainer": "in_turn"}), dataset)
  network.check()
  layer = network.train(0, tmp_path).variables["params"]["Dense_0"]
  np.testing.assert_array_equal(layer["kernel"], np.full((4, 2), -3.0))
  # The sums over the kernel are -4, -8, -12, of which a quarter is taken off.
  np.testing.assert_array_equal(layer["bias"], [6.0, 6.0])
  again = network.train(0, tmp_path).variables["params"]["Dense_0"]
  np.testing.assert_array_equal(again["bias"], layer["bias"])


@pytest.mark.parametrize(
  ("trainer", "error", "sentence"),
  [
    ("clasifier", ValueError, r"trainer of a model must be .*\(did you mean 'classifier'\?\)"),
    (3, TypeError, "trainer must be"),
  ],
)
def test_a_trainer_that_does_not_exist_is_refused(trainer, error, sentence, dataset):
  with pytest.raises(error, match=sentence):
    Network("net", Recipe.from_config({**SETTINGS, "trainer": trainer}), dataset)
