import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.data import Dataset, Split
from robust_saliency.training import Network, Recipe

SETTINGS = {
  "architecture": {"name": "mlp", "hidden": ()},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "sgd", "learning_rate": 0.5},
  "batch_size": 12,
  "epochs": 2,
}


@pytest.fixture(scope="module")
def dataset():
  random = np.random.default_rng(0)
  split = Split(
    random.integers(0, 256, (20, 2, 2, 1)).astype(np.uint8),
    random.integers(0, 3, 20).astype(np.int32),
  )
  return Dataset("noise", split, None, split, ("a", "b", "c"), scale=1 / 255)


def weights(trained):
  return jax.tree.map(np.asarray, trained.variables["params"]["Dense_0"])


def softmax(z):
  exponentials = np.exp(z - z.max(axis=1, keepdims=True))
  return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_a_network_learns_what_gradient_descent_in_numpy_learns(dataset, tmp_path):
  def trained(learning_rate):
    optimizer = {"name": "sgd", "learning_rate": learning_rate}
    settings = {**SETTINGS, "optimizer": optimizer, "batch_size": 20, "epochs": 10}
    network = Network("linear", Recipe.from_config(settings), dataset)
    return network.train(0, tmp_path / str(learning_rate))

  start, network = weights(trained(1e-30)), trained(0.5)
  x, y = dataset.to_float(dataset.train.x).reshape(20, -1), np.eye(3)[dataset.train.y]
  kernel, bias = start["kernel"].astype(np.float64), start["bias"].astype(np.float64)
  for _ in range(10):
    error = softmax(x @ kernel + bias) - y
    kernel, bias = kernel - 0.5 * x.T @ error / 20, bias - 0.5 * error.mean(axis=0)
  learnt = weights(network)
  np.testing.assert_allclose(learnt["kernel"], kernel, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(learnt["bias"], bias, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(
    network.logits_fn(dataset.to_float(jnp.asarray(dataset.train.x))),
    x @ kernel + bias,
    rtol=1e-4,
    atol=1e-4,
  )


def test_a_seed_decides_the_result_and_nothing_else_does(dataset, tmp_path):
  network = Network("linear", Recipe.from_config(SETTINGS), dataset)
  first, again, other = (
    weights(network.train(seed, tmp_path / name))["kernel"]
    for seed, name in ((0, "a"), (0, "b"), (1, "c"))
  )
  np.testing.assert_array_equal(first, again)
  assert not np.allclose(first, other)


def test_a_student_learns_its_teacher_s_probabilities(dataset, tmp_path):
  teacher = Network("teacher", Recipe.from_config({**SETTINGS, "epochs": 20}), dataset).train(
    0, tmp_path / "teacher"
  )
  settings = {
    **SETTINGS,
    "objective": {"distillation": {"temperature": 2.0}},
    "optimizer": {"name": "sgd", "learning_rate": 4.0},
    "batch_size": 20,
    "epochs": 1000,
    "log_every": 1000,
    "teacher": "teacher",
  }
  network = Network("student", Recipe.from_config(settings), dataset)
  network.check()
  student = network.train(1, tmp_path / "student", teacher=teacher)
  x = dataset.to_float(jnp.asarray(dataset.train.x))
  np.testing.assert_allclose(
    softmax(np.asarray(student.logits_fn(x))), softmax(np.asarray(teacher.logits_fn(x))), atol=0.01
  )


@pytest.mark.parametrize(
  ("change", "steps"),
  [({}, 4), ({"epochs": None, "steps": 7}, 7), ({"batch_size": 20}, 2), ({"batch_size": 50}, 2)],
)
def test_epochs_and_steps_say_how_long(change, steps):
  settings = {name: value for name, value in {**SETTINGS, **change}.items() if value is not None}
  assert Recipe.from_config(settings).total_steps(20) == steps


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"batchsize": 3}, r"got 'batchsize' \(did you mean 'batch_size'\?\)"),
    ({"objective": None}, "a model needs the field 'objective'"),
    ({"epochs": None}, "a model needs either epochs or steps, got epochs=None, steps=None"),
    ({"steps": 3}, "a model needs either epochs or steps, got epochs=2, steps=3"),
    ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
    ({"epochs": -1}, "epochs must be >= 1, got -1"),
    ({"log_every": 0}, "log_every must be >= 1, got 0"),
    ({"checkpoint_every": 0}, "checkpoint_every must be >= 1, got 0"),
    ({"teacher": "big"}, "a model with the term 'distillation' needs a teacher, and no other may"),
    ({"objective": {"distillation": {}}}, "needs a teacher"),
  ],
)
def test_recipes_that_cannot_be_followed_are_refused(change, sentence):
  settings = {name: value for name, value in {**SETTINGS, **change}.items() if value is not None}
  with pytest.raises(ValueError, match=sentence):
    Recipe.from_config(settings)


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"architecture": {}}, "architecture needs a name, one of"),
    ({"architecture": {"name": "mpl"}}, r"got 'mpl' \(did you mean 'mlp'\?\)"),
    ({"objective": {}}, "objective needs at least one term"),
    ({"optimizer": {"name": "adam"}}, "optimizer needs a learning_rate"),
    (
      {"objective": {"adversarial": {"attack": {"name": "pgd", "epsilon": -0.1}}}},
      "epsilon must be >= 0, got -0.1",
    ),
    (
      {"objective": {"adversarial": {"attack": {"name": "pgd", "epsilon": 0.1, "norm": "l3"}}}},
      "norm must be one of linf, l2, l1; got 'l3'",
    ),
  ],
)
def test_what_a_recipe_cannot_do_is_refused_before_training(change, sentence, dataset):
  with pytest.raises(ValueError, match=sentence):
    Network("net", Recipe.from_config({**SETTINGS, **change}), dataset).check()


def test_the_training_attack_stays_within_the_data_sets_bounds(dataset, tmp_path):
  # From white pixels, FGSM on a linear model can only darken; in [-1, 1] pixels it may reach -1.
  split = Split(np.full((20, 2, 2, 1), 255, np.uint8), dataset.train.y)
  symmetric = dataclasses.replace(
    dataset, train=split, test=split, scale=2 / 255, offset=-1.0, bounds=(-1.0, 1.0)
  )
  seen = {}
  for bounds in (None, (-1.0, 1.0), (0.0, 1.0)):
    attack = {"name": "fgsm", "epsilon": 2.0, **({"bounds": bounds} if bounds else {})}
    objective = {"adversarial": {"attack": attack}}
    recipe = Recipe.from_config({**SETTINGS, "objective": objective, "batch_size": 20})
    seen[bounds] = weights(Network("net", recipe, symmetric).train(0, tmp_path / str(bounds)))
  np.testing.assert_array_equal(seen[None]["kernel"], seen[(-1.0, 1.0)]["kernel"])
  assert np.abs(seen[None]["kernel"] - seen[(0.0, 1.0)]["kernel"]).max() > 1e-3
