"""Learning-rate schedules by name: the factor that multiplies the learning rate, by epoch."""

import math
from collections.abc import Callable, Sequence

import jax.numpy as jnp
import optax
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.binding import bind

# (steps taken, int) -> the factor of the next step.
Schedule = Callable[[Array], Array]


def constant(*, steps_per_epoch: int, total_steps: int) -> Schedule:
  """1."""
  del steps_per_epoch, total_steps
  return optax.constant_schedule(1.0)


def cosine(*, steps_per_epoch: int, total_steps: int) -> Schedule:
  """(1 + cos(pi step / total_steps)) / 2: from 1 to 0, new in every step.

  Source: Loshchilov & Hutter 2017, "SGDR", equation 5 without restarts.
  """
  del steps_per_epoch
  return optax.cosine_decay_schedule(1.0, total_steps)


def cosine_per_epoch(*, steps_per_epoch: int, total_steps: int) -> Schedule:
  """(1 + cos(pi (e - 1) / E)) / 2 in epoch e of E, constant within an epoch.

  Source: the training of Noack, Ahern, Dou & Li 2021 (their code).

  >>> factor = cosine_per_epoch(steps_per_epoch=10, total_steps=20)
  >>> [round(float(factor(step)), 3) for step in (0, 9, 10, 19)]
  [1.0, 1.0, 0.5, 0.5]
  """
  epochs = math.ceil(total_steps / steps_per_epoch)
  return lambda step: (1 + jnp.cos(jnp.pi * (step // steps_per_epoch) / epochs)) / 2


def step_decay(
  *, steps_per_epoch: int, total_steps: int, epochs: Sequence[int], factor: float = 0.1
) -> Schedule:
  """factor^k after the k-th of these numbers of epochs.

  Source: the training of wide residual networks, Zagoruyko & Komodakis 2016, section 3.
  """
  del total_steps
  checks.scalar(factor=factor)
  checks.positive(factor=factor)
  if not isinstance(epochs, Sequence) or isinstance(epochs, str):
    raise TypeError(f"epochs must be a list of whole numbers, got {checks.shown(epochs)}")
  for epoch in epochs:
    checks.count(epochs=epoch)
  # An epoch that is given twice counts twice.
  scales = {epoch * steps_per_epoch: factor ** list(epochs).count(epoch) for epoch in epochs}
  return optax.piecewise_constant_schedule(1.0, scales)


SCHEDULES: dict[str, Callable[..., Schedule]] = {
  "constant": constant,
  "cosine": cosine,
  "cosine_per_epoch": cosine_per_epoch,
  "step_decay": step_decay,
}


def get_schedule(settings: dict, *, steps_per_epoch: int, total_steps: int) -> Schedule:
  """The schedule that a config describes: {"name": one of `SCHEDULES`, and its settings}.

  Raises:
    ValueError: for an unknown name or setting.
  """
  later = ("steps_per_epoch", "total_steps")
  for field in later:
    if field in settings:
      raise ValueError(f"a schedule's {field} follows from the model's epochs; do not give it")
  bound = bind(SCHEDULES, settings, what="schedule", later=later)
  return bound(steps_per_epoch=steps_per_epoch, total_steps=total_steps)
