"""The training steps of Ross's network that are timed, as training compiles them."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import machine
import numpy as np
from jax import Array

from robust_saliency import models
from robust_saliency.objectives import weighted_sum
from robust_saliency.training import (
  create_state,
  get_optimizer,
  make_step,
  map_over_devices,
  replicate,
)
from robust_saliency.training.step import AXIS

BATCH = machine.size(128, on_gpu=256)
# A call takes so many: what a GPU is told to do step by step keeps it waiting.
STEPS = machine.size(1, on_gpu=50)
EPSILON = 0.3
PENALTY = 1.0
LEARNING_RATE, ADAM_EPSILON = 2e-4, 1e-4

PLAIN, PENALISED, ADVERSARIAL = "plain", "GR(y)", "FGSM adversarial training"
OBJECTIVES: dict[str, dict[str, dict[str, Any]]] = {
  PLAIN: {"cross_entropy": {}},
  PENALISED: {"cross_entropy": {}, "input_gradient_penalty": {"weight": PENALTY}},
  ADVERSARIAL: {
    "cross_entropy": {"weight": 0.5},
    "adversarial": {
      "weight": 0.5,
      "attack": {"name": "fgsm", "epsilon": EPSILON},
      "attack_labels": "predicted",
      "attack_mode": "training",
    },
  },
}


def to_float(x: Array) -> Array:
  return x.astype(jnp.float32) / 255


def our_step(
  objective: Mapping[str, Any],
  variables: Mapping[str, Any],
  x: np.ndarray,
  y: np.ndarray,
  **targets: np.ndarray,
) -> Callable[[], None]:
  """A call that takes STEPS steps on all devices and waits; `targets` are for the terms."""
  optimizer = get_optimizer({"name": "adam", "learning_rate": LEARNING_RATE, "eps": ADAM_EPSILON})
  apply_fn = models.apply_fn(models.build("ross", axis_name=AXIS))
  step = make_step(apply_fn, weighted_sum(objective), optimizer, to_float=to_float)
  mapped: Callable[..., Any] = map_over_devices(step, steps_per_call=STEPS)
  data = replicate({"x": x, "y": y, **targets})
  indices = np.arange(BATCH, dtype=np.int32).reshape(jax.device_count(), -1)
  if STEPS > 1:
    indices = np.stack([indices] * STEPS, axis=1)
  state = replicate(create_state(dict(variables), optimizer, seed=0))

  def call() -> None:
    nonlocal state
    state, _ = mapped(state, data, indices)
    jax.block_until_ready(state)

  return call
