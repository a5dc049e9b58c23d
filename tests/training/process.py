"""One of the processes of `test_processes.py`; prints nothing, leaves its result in a file."""

import dataclasses
import sys
from pathlib import Path

import jax
import numpy as np


def main(result: Path, directory: Path, process: int, processes: int, port: int) -> None:
  """Trains six steps, then six more from the checkpoint, and saves what has come of it."""
  if processes > 1:
    jax.distributed.initialize(f"localhost:{port}", processes, process)
  from robust_saliency.data import Dataset, Split
  from robust_saliency.training import Network, Recipe

  random = np.random.default_rng(0)
  split = Split(
    random.integers(0, 256, (19, 4, 4, 1)).astype(np.uint8),
    random.integers(0, 3, 19).astype(np.int32),
  )
  dataset = Dataset("noise", split, split, split, ("a", "b", "c"), scale=1 / 255)
  recipe = Recipe.from_config(
    {
      "architecture": {"name": "digits", "batch_norm": True},
      "objective": {
        "cross_entropy": {},
        "adversarial": {"attack": {"name": "pgd", "epsilon": 0.1, "steps": 1}},
      },
      "optimizer": {"name": "sgd", "learning_rate": 0.005, "momentum": 0.9},
      "batch_size": 7,
      "steps": 6,
      "log_every": 2,
      "checkpoint_every": 3,
      "probe": {"every": 4, "examples": 19},
    }
  )
  network = Network("noise", recipe, dataset)
  network.train(0, directory)
  network.recipe = dataclasses.replace(recipe, steps=12)
  trained = network.train(0, directory)
  np.savez(result, *[np.asarray(leaf) for leaf in jax.tree.leaves(trained.variables)])


if __name__ == "__main__":
  main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
