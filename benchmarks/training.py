"""An epoch of plain training on MNIST through the whole loop, beside its bare steps.

  python benchmarks/training.py           # writes benchmarks/results/training.{json,md}

60,000 images (TFDS_DATA_DIR, or ../shared/data/tensorflow_datasets; without MNIST random images of
its size), Ross's network, cross-entropy, Adam, batches of 128, on one host device and on two. The
loop reads its batches by index, writes metrics every 50 steps and a checkpoint at the end; the bare
steps are the same compiled step, given one batch again and again.
"""

import machine  # before all others

# isort: split
import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import timing

from robust_saliency import data, models
from robust_saliency.data import Dataset, Split
from robust_saliency.objectives import weighted_sum
from robust_saliency.training import (
  TrainState,
  batch_indices,
  create_state,
  get_optimizer,
  make_step,
  replicate,
  steps_per_epoch,
)
from robust_saliency.training import loop as loop_module
from robust_saliency.training.step import AXIS, map_over_devices

BATCH = 128
SHARED = Path(__file__).parents[2] / "shared" / "data" / "tensorflow_datasets"
TARGET = "at most 1.15"


def load() -> Dataset:
  data_dir = os.environ.get("TFDS_DATA_DIR") or (str(SHARED) if SHARED.is_dir() else None)
  try:
    return data.load("mnist", data_dir=data_dir)
  except FileNotFoundError:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (60000, 28, 28, 1)).astype(np.uint8)
    split = Split(x, random.integers(0, 10, 60000).astype(np.int32))
    names = tuple("0123456789")
    return Dataset("random images of MNIST's size", split, None, split, names, scale=1 / 255)


def contestants(
  dataset: Dataset, devices: int, steps: int
) -> tuple[Callable[[], None], Callable[[], None], float]:
  """The loop, the bare steps, and the seconds of their common compilation."""
  optimizer = get_optimizer({"name": "adam", "learning_rate": 2e-4, "eps": 1e-4})
  chosen = jax.devices()[:devices]
  step = make_step(
    models.apply_fn(models.build("ross", axis_name=AXIS)),
    weighted_sum({"cross_entropy": {}}),
    optimizer,
    to_float=dataset.to_float,
  )
  mapped: Callable[..., Any] = map_over_devices(step, chosen)
  arrays = {"x": dataset.train.x, "y": dataset.train.y}
  variables = models.init(models.build("ross"), jax.random.key(0), dataset.image_shape)

  def first_state() -> TrainState:
    return create_state(variables, optimizer, seed=0)

  def indices(number: int) -> np.ndarray:
    return batch_indices(
      number, examples=len(dataset.train), batch_size=BATCH, devices=devices, seed=0
    )

  resident, one_batch = replicate(arrays, chosen), indices(0)

  def bare() -> None:
    state = replicate(first_state(), chosen)
    for _ in range(steps):
      state, _ = mapped(state, resident, one_batch)
    jax.block_until_ready(state)

  def whole() -> None:
    directory = Path(tempfile.mkdtemp())
    try:
      loop_module.train(
        mapped,
        first_state(),
        arrays,
        steps=steps,
        indices=indices,
        directory=directory,
        label=f"{devices} devices",
        devices=chosen,
      )
    finally:
      shutil.rmtree(directory)

  start = time.perf_counter()
  jax.block_until_ready(mapped(replicate(first_state(), chosen), resident, one_batch))
  return whole, bare, time.perf_counter() - start


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument("--steps", type=int, default=None, help="fewer steps than an epoch")
  parser.add_argument("--repeats", type=int, default=3)
  arguments = parser.parse_args()
  dataset = load()
  steps = arguments.steps or steps_per_epoch(len(dataset.train), BATCH)
  calls, compile_seconds, ratios = {}, {}, {}
  for devices in (1, 2):
    loop_name, bare_name = (f"{what}, {devices} host devices" for what in ("loop", "bare steps"))
    calls[loop_name], calls[bare_name], compile_seconds[bare_name] = contestants(
      dataset, devices, steps
    )
    ratios[f"loop over bare steps, {devices} host devices"] = (loop_name, bare_name, TARGET)
  print(
    timing.report(
      "training",
      f"{steps} steps of {BATCH} images: {dataset.name}, Ross's network, Adam.",
      timing.take_turns(calls, repeats=arguments.repeats, warm_up=0),
      compile_seconds=compile_seconds,
      ratios=ratios,
      environment=machine.environment("jax", "jaxlib", "flax", "optax", "robust_saliency"),
    )
  )


if __name__ == "__main__":
  main()
