"""ROAR of somebody's own Equinox model and own attribution."""

import jax
import numpy as np
import pytest

from robust_saliency.data import load
from robust_saliency.studies.roar import remove_and_retrain

eqx = pytest.importorskip("equinox")
pytestmark = pytest.mark.peers

RECIPE = {
  "architecture": {"name": "mlp", "hidden": (16,)},
  "objective": {"cross_entropy": {}},
  "optimizer": {"name": "adam", "learning_rate": 0.01},
  "batch_size": 64,
  "steps": 100,
}


def test_a_users_own_equinox_model_and_attribution_are_scored_in_ten_lines():
  digits = load("digits")
  x_train, x_test = (digits.to_float(split.x) for split in (digits.train, digits.test))
  model = eqx.nn.MLP(64, 10, 16, 1, key=jax.random.key(0))

  def my_attribution(x):
    largest = jax.vmap(jax.grad(lambda image: model(image.ravel()).max()))(x)
    return np.abs(largest * x)

  maps = my_attribution(x_train), my_attribution(x_test)
  found = remove_and_retrain(
    jax.random.key(0), digits, maps, retraining=RECIPE, fractions=(0.5,), protocols=("KAR",)
  )
  # Gradient times input keeps the pixels that are not blank, whoever has trained the model.
  assert found.score["KAR"][0] > 0.01
