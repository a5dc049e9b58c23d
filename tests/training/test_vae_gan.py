"""The trainer of VAE-GANs: devices, resuming, averages, and what it refuses."""

import jax
import numpy as np
import pytest

from robust_saliency.data import Dataset, Split
from robust_saliency.training import Network, Recipe, StoppedError, interruption, replicate
from robust_saliency.training.step import map_over_devices

RECIPE = {
  "architecture": {"name": "vae_gan", "latent": 3, "width": 0.125},
  "objective": {},
  "trainer": "vae_gan",
  "trainer_settings": {"reconstruction": 0.1, "discriminator_steps": 2},
  "optimizer": {"name": "adam", "learning_rate": 1e-3, "b1": 0.5, "b2": 0.9},
  "batch_size": 12,
  "steps": 4,
  "log_every": 1,
}


def dataset(bounds=(-1.0, 1.0), shape=(8, 8, 1)):
  random = np.random.default_rng(0)
  split = Split(random.uniform(*bounds, (34, *shape)).astype(np.float32), np.arange(34) % 2)
  return Dataset("noise", split, None, split, ("a", "b"), bounds=bounds)


@pytest.fixture(scope="module")
def network():
  return Network("VAE-GAN", Recipe.from_config(RECIPE), dataset())


def steps_on(network, devices, count):
  """The state after some steps, and each step's metrics."""
  mapped = map_over_devices(network.trainer.step({}), devices)
  state = replicate(network.trainer.initial_state(0), devices)
  data, rows = replicate({"x": dataset().train.x, "y": dataset().train.y}, devices), []
  for number in range(count):
    # Of the batch's 11 examples eight devices hold two each and two none.
    indices = np.full((len(devices), -(-12 // len(devices))), -1, np.int32)
    indices.reshape(-1)[:11] = (11 * number + np.arange(11)) % 34
    state, metrics = mapped(state, data, indices)
    rows.append(jax.tree.map(float, metrics))
  return jax.tree.map(np.asarray, state), rows


@pytest.mark.slow
def test_eight_devices_train_what_one_trains(network):
  first = network.trainer.initial_state(0)
  on_one, rows_on_one = steps_on(network, jax.devices()[:1], 2)
  on_eight, rows_on_eight = steps_on(network, jax.devices(), 2)
  for a, b in zip(rows_on_one, rows_on_eight, strict=True):
    assert a == pytest.approx(b, rel=1e-4)
  assert set(rows_on_one[0]) == {"reconstruction", "kl", "decoder_loss", "discriminator_loss"}
  for part in ("encoder", "decoder", "discriminator"):
    pairs = zip(
      jax.tree.leaves(on_one.collections["batch_stats"][part]),
      jax.tree.leaves(on_eight.collections["batch_stats"][part]),
      strict=True,
    )
    assert all(np.allclose(a, b, atol=1e-4) for a, b in pairs)
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), first.params[part], on_one.params[part])
    assert max(jax.tree.leaves(moved)) > 1e-4
    counts = [leaf for leaf in jax.tree.leaves(on_one.opt_state[part]) if np.ndim(leaf) == 0]
    # Adam counts its own steps.
    assert counts == [4 if part == "discriminator" else 2]


@pytest.mark.slow
def test_a_training_that_is_stopped_and_resumed_equals_one_that_never_was(network, tmp_path):
  whole = network.train(0, tmp_path / "whole")
  ask, calls = interruption.is_asked, iter([False, True])
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(interruption, "is_asked", lambda **_: next(calls, True))
    with pytest.raises(StoppedError):
      network.train(0, tmp_path / "stopped")
  assert interruption.is_asked is ask
  resumed = network.train(0, tmp_path / "stopped")
  jax.tree.map(np.testing.assert_array_equal, resumed.variables, whole.variables)
  jax.tree.map(
    np.testing.assert_array_equal, network.read(0, tmp_path / "whole").variables, whole.variables
  )


@pytest.mark.parametrize(
  ("change", "sentence"),
  [
    ({"objective": {"cross_entropy": {}}}, "objective of a VAE-GAN must be left empty"),
    ({"averaging": 0.9}, "averaging must be left out for a VAE-GAN, got 0.9"),
    ({"early_stopping": {}}, "early_stopping must be left out for a VAE-GAN"),
    ({"probe": {}}, "probe must be left out for a VAE-GAN"),
    ({"trainer_settings": None}, "trainer_settings needs the field 'reconstruction'"),
    ({"trainer_settings": {"reconstruction": 0}}, "reconstruction must be a number > 0, got 0"),
    ({"architecture": {"name": "digits"}}, "architecture.name must be one of vae_gan"),
    ({"architecture": {"name": "vae_gan", "latent": 0}}, "latent must be"),
    (
      {"trainer": "classifier", "objective": {"cross_entropy": {}}},
      "trainer_settings must be left out for the trainer 'classifier'",
    ),
  ],
)
def test_what_it_cannot_train_is_refused(change, sentence):
  with pytest.raises(ValueError, match=sentence):
    Network("g", Recipe.from_config({**RECIPE, **change}), dataset())


@pytest.mark.parametrize(
  ("images", "sentence"),
  [
    (dataset(bounds=(0.0, 1.0)), r"needs pixels in \[-1, 1\]"),
    (dataset(shape=(9, 9, 1)), "square images whose side is one of 8, 28, 32, got 9 x 9"),
    (dataset(shape=(8, 28, 1)), "got 8 x 28"),
  ],
)
def test_images_that_it_has_no_layers_for_are_refused(images, sentence):
  with pytest.raises(ValueError, match=sentence):
    Network("g", Recipe.from_config(RECIPE), images).check()


def test_all_three_networks_end_their_schedules_with_the_training(network):
  settings = {**RECIPE["optimizer"], "schedule": {"name": "cosine"}}
  recipe = Recipe.from_config({**RECIPE, "optimizer": settings, "steps": 3})
  scheduled = Network("scheduled", recipe, dataset())
  states = [steps_on(scheduled, jax.devices()[:1], count)[0] for count in (1, 2)]
  for part in ("encoder", "decoder", "discriminator"):
    pairs = zip(*(jax.tree.leaves(state.params[part]) for state in states), strict=True)
    assert max(np.abs(a - b).max() for a, b in pairs) > 1e-4
