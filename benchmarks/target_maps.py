"""SmoothGrad maps of training images, those that networks are taught, beside bare gradient passes.

  python benchmarks/target_maps.py     # writes benchmarks/results/target_maps.{json,md}

The study `target_maps` draws the noise, averages, and writes the maps and their digest to disk; the
bare passes are as many gradients of the true class's logit of images that lie there already, in the
batch size that is fastest.
"""

import machine  # before all others

# isort: split
import argparse
import functools
import tempfile
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import timing
from jax import Array

from robust_saliency import models
from robust_saliency.data import Dataset, Split
from robust_saliency.studies import read_study, run_study
from robust_saliency.training import TrainedNetwork

COPIES = 8  # noisy ones of each image, as in experiments/noack2019.py:small, and the image itself
BATCH_SIZES = (50, 100, 200, 400)


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument("--images", type=int, default=2000)
  parser.add_argument("--repeats", type=int, default=5)
  arguments = parser.parse_args()
  random = np.random.default_rng(0)
  split = Split(
    random.integers(0, 256, (arguments.images, 28, 28, 1)).astype(np.uint8),
    random.integers(0, 10, arguments.images).astype(np.int32),
  )
  dataset = Dataset("random", split, None, split, tuple(map(str, range(10))), scale=1 / 255)
  module = models.build("noack")
  variables = models.init(module, jax.random.key(0), (28, 28, 1))
  network = TrainedNetwork(module, variables, seed=0)
  smooth = {"name": "smoothgrad", "samples": COPIES, "include_clean": True, "clip": True}
  study = read_study("maps", {"kind": "target_maps", "teacher": "teacher", "attribution": smooth})

  def ours() -> None:
    with tempfile.TemporaryDirectory() as folder:
      run_study(
        "maps",
        study,
        {"teacher": [network]},
        dataset,
        key=jax.random.key(0),
        seeds=(0,),
        directory=Path(folder),
      )

  gradients = jax.pmap(functools.partial(_gradients, module), in_axes=(None, 0, 0))
  passes = arguments.images * (COPIES + 1)

  def bare(size: int, total: int = passes) -> None:
    each = size // machine.DEVICES
    x = jnp.asarray(random.random((machine.DEVICES, each, 28, 28, 1), np.float32))
    y = jnp.asarray(random.integers(0, 10, (machine.DEVICES, each)))
    for _ in range(0, total, size):
      jax.block_until_ready(gradients(variables, x, y))

  sizes = {f"{size}": functools.partial(bare, size, 10 * size) for size in BATCH_SIZES}
  tried = timing.take_turns(sizes, repeats=3, warm_up=1)
  per_image = {size: min(tried[f"{size}"]) / size for size in BATCH_SIZES}
  size = min(per_image, key=lambda one: per_image[one])
  names = ("study target_maps", f"bare gradient passes, {size} images a call")
  times = timing.take_turns(
    dict(zip(names, (ours, functools.partial(bare, size)), strict=True)),
    repeats=arguments.repeats,
    warm_up=1,
  )
  print(
    timing.report(
      "target_maps",
      f"SmoothGrad maps ({COPIES} noisy copies and the image) of {arguments.images:,} images of "
      f"28x28x1 with Noack et al.'s network, {machine.DEVICES} host devices.",
      times,
      compile_seconds={},
      ratios={"maps / their bare gradient passes": (*names, "at most 1.2")},
      environment=machine.environment("jax", "robust_saliency"),
    )
  )


def _gradients(module: nn.Module, variables: dict, x: Array, y: Array) -> Array:
  def of_true_class(x: Array) -> Array:
    return jnp.take_along_axis(models.logits_fn(module, variables)(x), y[:, None], axis=1).sum()

  return jax.grad(of_true_class)(x)


if __name__ == "__main__":
  main()
