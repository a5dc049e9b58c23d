"""One of the processes of `test_restore.py`: resumes from a checkpoint on devices of its own."""

import dataclasses
import sys
from pathlib import Path

import jax
import numpy as np


def main(
  result: Path, directory: Path, steps: int, process: int, processes: int, port: int
) -> None:
  """Trains up to so many steps, and saves the parameters."""
  if processes > 1:
    jax.distributed.initialize(f"localhost:{port}", processes, process)
  from robust_saliency.data import Dataset, Split
  from robust_saliency.training import Network, Recipe

  random = np.random.default_rng(0)
  split = Split(
    random.integers(0, 256, (19, 4, 4, 1)).astype(np.uint8),
    random.integers(0, 3, 19).astype(np.int32),
  )
  dataset = Dataset("noise", split, None, split, ("a", "b", "c"), scale=1 / 255)
  recipe = Recipe.from_config(
    {
      "architecture": {"name": "digits", "batch_norm": True},
      "objective": {"cross_entropy": {}},
      "optimizer": {"name": "sgd", "learning_rate": 0.005, "momentum": 0.9},
      "batch_size": 7,
      "steps": 6,
    }
  )
  network = Network("noise", recipe, dataset)
  network.recipe = dataclasses.replace(recipe, steps=steps)
  trained = network.train(0, directory)
  np.savez(result, *[np.asarray(leaf) for leaf in jax.tree.leaves(trained.variables)])


if __name__ == "__main__":
  main(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))
