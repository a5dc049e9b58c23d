"""What it costs to take a data set through a network in batches, over eight host devices.

  python benchmarks/driver.py     # writes benchmarks/results/driver.{json,md}

Ten batches of 64 examples through parameters of 100 MiB, where what counts is how often they travel
to the devices: once, as `over_examples` has it, or for each batch, as `jax.pmap` does with what is
the same for all devices. And 1,000 images of 28x28x1 through Ross's network in batches of 250.
"""

import os

# Before JAX starts, and whatever the machine has: the copies are what is measured.
os.environ["XLA_FLAGS"] = (
  f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
)

import machine

# isort: split
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import timing

from robust_saliency import models
from robust_saliency.core.programs import over_examples

BATCH, BATCHES = 64, 10
WIDTH = 5120  # 5120^2 float32 parameters are 100 MiB
ONCE = f"100 MiB, {BATCHES} batches of {BATCH}, copied once"
EACH = f"100 MiB, {BATCHES} batches of {BATCH}, copied for each by jax.pmap"
ROSS = "Ross's network, 1,000 images"


def large() -> dict[str, Callable[[], Any]]:
  """Batches through a matrix of 100 MiB, of which each example reads one row."""
  weights = np.random.default_rng(0).normal(size=(WIDTH, WIDTH)).astype(np.float32)
  rows = np.arange(BATCHES * BATCH)
  of_all = over_examples(lambda w, numbers, rows: w[rows].sum(axis=1), batch_size=BATCH)

  devices = jax.local_device_count()
  mapped = jax.pmap(lambda w, rows: w[rows].sum(axis=1), in_axes=(None, 0))

  def for_each_batch() -> list[np.ndarray]:
    batches = rows.reshape(BATCHES, devices, -1)
    return [np.asarray(mapped(weights, batch)) for batch in batches]

  return {ONCE: lambda: of_all(weights, rows), EACH: for_each_batch}


def ross() -> Callable[[], Any]:
  """Four batches through Ross's network: its predictions."""
  module = models.build("ross")
  variables = jax.tree.map(np.asarray, models.init(module, jax.random.key(0), (28, 28, 1)))
  x = np.random.default_rng(0).uniform(size=(1000, 28, 28, 1)).astype(np.float32)

  def predict(variables: Any, numbers: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.argmax(models.logits_fn(module, variables)(x), axis=-1)

  of_all = over_examples(predict, batch_size=250)
  return lambda: of_all(variables, x)


def main() -> None:
  """Times them and writes the table."""
  contestants = {**large(), ROSS: ross()}
  compiling = {name: timing.seconds(call) for name, call in contestants.items()}
  times = timing.take_turns(contestants, repeats=5, warm_up=1)
  print(
    timing.report(
      "driver",
      f"A function of single examples over a data set, {jax.local_device_count()} host devices.",
      times,
      compile_seconds=compiling,
      ratios={"copied for each batch / once": (EACH, ONCE, "at least 4")},
      environment=machine.environment("jax", "robust_saliency"),
    )
  )


if __name__ == "__main__":
  main()
