"""What terms need of each example, on its way through the step; sums over the whole batch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency.data import Dataset, Split, crop_and_flip
from robust_saliency.objectives import TERMS, term, weighted_sum
from robust_saliency.training import (
  Network,
  Recipe,
  batch_indices,
  create_state,
  make_step,
  map_over_devices,
)

CLASSES = 3


@pytest.fixture(autouse=True)
def _own_terms_go():
  before = dict(TERMS)
  yield
  TERMS.clear()
  TERMS.update(before)


def linear(variables, x, **_):
  return x.reshape(len(x), -1) @ variables["params"], {}


def declare_gradient_norm():
  @term("gradient_norm", title="Frobenius norm of the input gradients")
  def gradient_norm(passes):
    """||(dH_1 / dx_1, ..., dH_N / dx_N)||_F over the whole batch, no mean over examples."""
    once = passes.clean()
    log_p = jax.nn.one_hot(once.y, CLASSES)
    slopes = once.input_gradient(lambda z: -jnp.sum(log_p * jax.nn.log_softmax(z), axis=-1))
    return jnp.sqrt(passes.batch.total(jnp.sum(slopes**2, axis=(1, 2, 3))))


def frobenius(weights, x, y):
  """The same of softmax regression, in NumPy: dH / dx = W (p - y)."""
  z = x.reshape(len(x), -1) @ weights
  p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
  return np.sqrt(np.sum(((p - np.eye(CLASSES)[y]) @ weights.T) ** 2))


@pytest.mark.parametrize("number", [0, 2], ids=["whole batch", "short last batch"])
@pytest.mark.parametrize("devices", [1, 8])
def test_a_norm_over_the_whole_batch_and_its_gradient_do_not_depend_on_the_devices(devices, number):
  declare_gradient_norm()
  random = np.random.default_rng(0)
  x, y = random.uniform(size=(28, 2, 2, 1)), random.integers(0, CLASSES, 28)
  weights, optimizer = random.normal(size=(4, CLASSES)), optax.sgd(1.0)
  with jax.enable_x64(True):
    objective = weighted_sum({"gradient_norm": {"weight": 0.5}})
    step = map_over_devices(
      make_step(linear, objective, optimizer, to_float=lambda x: x), jax.devices()[:devices]
    )
    indices = batch_indices(number, examples=28, batch_size=12, devices=devices, seed=0)
    state = create_state({"params": jnp.asarray(weights)}, optimizer, seed=0)
    state, metrics = step(state, {"x": x, "y": y}, indices)
  chosen = indices[indices >= 0]
  assert len(chosen) == (12, 4)[number // 2]
  np.testing.assert_allclose(
    metrics["gradient_norm"], frobenius(weights, x[chosen], y[chosen]), rtol=1e-10
  )
  gradient = np.zeros_like(weights)
  for index in np.ndindex(weights.shape):
    moved = np.zeros_like(weights)
    moved[index] = 1e-5
    sides = [frobenius(weights + sign * moved, x[chosen], y[chosen]) for sign in (1, -1)]
    gradient[index] = (sides[0] - sides[1]) / 2e-5
  np.testing.assert_allclose(weights - np.asarray(state.params), 0.5 * gradient, rtol=1e-7)


def all_outcomes(image, padding):
  """Every crop of the padded image, and then all of them mirrored."""
  height, width = image.shape[:2]
  padded = np.pad(image, [(padding, padding)] * 2 + [(0, 0)] * (image.ndim - 2))
  places = range(2 * padding + 1)
  crops = [padded[i : i + height, j : j + width] for i in places for j in places]
  return np.stack([*crops, *(crop[:, ::-1] for crop in crops)])


def test_the_pmapped_step_crops_and_mirrors_a_target_map_with_its_image():
  # Each place has a weight of its own, by which a sum over an image says how it was moved.
  ramp = np.sqrt(np.arange(2.0, 22.0)).reshape(4, 5, 1)

  @term("of image", title="Sum over the image")
  def of_image(passes):
    return jnp.sum(passes.batch.x * ramp, axis=(1, 2, 3)) + 0 * passes.clean().logits[:, 0]

  @term("of map", title="Sum over its map", needs={"maps": "map"})
  def of_map(passes):
    return jnp.sum(passes.batch.targets["maps"] * ramp[..., 0], axis=(1, 2))

  random = np.random.default_rng(0)
  x = random.integers(1, 256, (6, 4, 5, 1)).astype(np.uint8)
  maps = random.normal(size=(6, 4, 5)).astype(np.float32)
  data = {"x": x, "y": np.zeros(6, np.int32), "maps": maps, "soft_targets": np.ones((6, 3))}
  optimizer = optax.sgd(0.0)
  step = map_over_devices(
    make_step(
      linear,
      weighted_sum({"of image": {}, "of map": {}}),
      optimizer,
      to_float=lambda x: x.astype(jnp.float32) / 255,
      augment=lambda keys, x, maps: crop_and_flip(keys, x, maps, padding=1),
    )
  )
  state, found = create_state({"params": jnp.zeros((20, CLASSES))}, optimizer, seed=0), []
  for i in range(6):
    indices = np.full((8, 1), -1, np.int32)
    indices[i, 0] = i
    state, sums = step(state, data, indices)
    possible = np.sum(all_outcomes(x[i] / 255, 1) * ramp, axis=(1, 2, 3))
    (outcome,) = np.flatnonzero(np.isclose(possible, sums["of image"], rtol=1e-6))
    expected = np.sum(all_outcomes(maps[i], 1)[outcome] * ramp[..., 0])
    np.testing.assert_allclose(sums["of map"], expected, rtol=1e-4)
    found.append(outcome)
  assert len(set(found)) > 3
  assert min(found) < 9 <= max(found)  # plain ones and mirrored ones


SETTINGS = {
  "architecture": {"name": "mlp", "hidden": ()},
  "objective": {"cross_entropy": {}, "alignment": {"weight": 0.5}},
  "optimizer": {"name": "sgd", "learning_rate": 0.5},
  "batch_size": 6,
  "epochs": 2,
}


def declare_alignment():
  @term("alignment", title="Distance of the gradient from the map", needs={"maps": "map"})
  def alignment(passes):
    slopes = passes.clean().input_gradient(lambda z: z[:, 0])
    return jnp.sum((slopes - passes.batch.targets["maps"]) ** 2, axis=(1, 2, 3))


@pytest.fixture
def dataset():
  random = np.random.default_rng(0)
  split = Split(
    random.integers(0, 256, (10, 2, 3, 1)).astype(np.uint8),
    random.integers(0, CLASSES, 10).astype(np.int32),
  )
  return Dataset("noise", split, None, split, ("a", "b", "c"), scale=1 / 255)


def test_a_network_is_trained_on_maps_that_are_mirrored_with_their_images(dataset, tmp_path):
  declare_alignment()
  maps = np.random.default_rng(1).normal(size=(10, 2, 3, 1)).astype(np.float32)
  train = dataset.train
  mirrored = dataclasses.replace(dataset, train=Split(train.x[:, :, ::-1], train.y))
  augmentation = {"padding": 0, "flip_probability": 1.0}

  def kernel(dataset, maps, name, **settings):
    network = Network(name, Recipe.from_config({**SETTINGS, **settings}), dataset)
    network.check()
    trained = network.train(0, tmp_path / name, maps={"maps": maps})
    return trained.variables["params"]["Dense_0"]["kernel"]

  a = kernel(dataset, maps, "a", augmentation=augmentation)
  b = kernel(mirrored, maps[:, :, ::-1], "b")
  np.testing.assert_allclose(a, b, rtol=1e-5)
  assert np.abs(a - kernel(mirrored, maps, "c")).max() > 1e-2


@pytest.mark.parametrize(
  ("maps", "sentence"),
  [
    (None, "the term 'alignment' needs the map 'maps' of each image"),
    ({"map": np.zeros((10, 2, 3, 1))}, "the term 'alignment' needs the map 'maps' of each image"),
    ({"maps": np.zeros((9, 2, 3, 1))}, r"map 'maps' must be .*\[10, 2, 3, ...\], got shape \(9, 2"),
    (
      {"maps": np.zeros((10, 2, 3, 1)), "mops": np.zeros((10, 2, 3, 1))},
      r"maps must be one of maps; got 'mops'",
    ),
  ],
)
def test_maps_that_are_not_what_the_terms_need_are_refused(maps, sentence, dataset, tmp_path):
  declare_alignment()
  network = Network("net", Recipe.from_config(SETTINGS), dataset)
  with pytest.raises(ValueError, match=sentence):
    network.train(0, tmp_path, maps=maps)
  assert not [*tmp_path.iterdir()]


def test_a_term_of_one_s_own_that_needs_labels_needs_a_teacher(dataset, tmp_path):
  @term("likeness", title="Likeness to the teacher", needs={"teacher's": "labels"})
  def likeness(passes):
    return -jnp.sum(passes.batch.targets["teacher's"] * passes.clean().logits, axis=-1)

  settings = {**SETTINGS, "objective": {"likeness": {}}}
  with pytest.raises(ValueError, match="a model with the term 'likeness' needs a teacher"):
    Recipe.from_config(settings)
  plain = {**SETTINGS, "objective": {"cross_entropy": {}}}
  teacher = Network("teacher", Recipe.from_config(plain), dataset).train(0, tmp_path / "teacher")
  settings = {**settings, "teacher": "teacher", "epochs": None, "steps": 1, "batch_size": 10}
  del settings["epochs"]
  network = Network("student", Recipe.from_config(settings), dataset)
  network.check()
  x = dataset.to_float(jnp.asarray(dataset.train.x))
  before = network.untrained(0).variables["params"]["Dense_0"]["kernel"]
  after = network.train(0, tmp_path / "student", teacher=teacher)
  # Linear in the logits: the gradient is -x^T p / N, with the teacher's p at temperature 1.
  p = np.exp(teacher.logits_fn(x)) / np.exp(teacher.logits_fn(x)).sum(axis=1, keepdims=True)
  expected = before + 0.5 * np.asarray(x).reshape(10, -1).T @ p / 10
  np.testing.assert_allclose(
    after.variables["params"]["Dense_0"]["kernel"], expected, rtol=1e-4, atol=1e-6
  )
