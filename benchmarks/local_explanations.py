"""LIME on MNIST, beside the package lime and beside its bare forward passes; NormLIME on top.

  TFDS_DATA_DIR=... python benchmarks/local_explanations.py --network=ross --images=100

writes lime_cells_<network>, lime_pixels and normlime as .json and .md in benchmarks/results. 1,000
samples per image: 49 cells with the network, and 784 pixels with a linear model, whose own time is
subtracted. The package gets the fastest of several batch sizes and of two ways to call the same
network, no progress bar, and one class, as we do. (A file called lime.py would hide the package.)
"""

import machine  # before all others

# isort: split
import argparse
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import timing
import torch
from jax import Array
from lime import lime_image
from torch_twin import Twin, images_for_torch

from robust_saliency import data, models
from robust_saliency.attributions.local.lime import explain_locally
from robust_saliency.attributions.local.normlime import normlime
from robust_saliency.attributions.local.superpixels import grid, pixels
from robust_saliency.core import LogitsFn, example_keys, full_precision

SAMPLES = 1000
CHUNK_SIZES = (125, 250, 500)
PEER_BATCH_SIZES = (10, 50, 125, 250, 500)
# The package takes seconds per image here.
PIXEL_IMAGES = 10
DIGITS, DIGITS_SAMPLES = 1000, 640

Classify = Callable[[np.ndarray], np.ndarray]


def fastest(calls: dict[Any, Callable[[], Any]], repeats: int = 2) -> Any:
  """The key of the call that took the least time."""
  times = timing.take_turns(calls, repeats=repeats, warm_up=1)
  return min(times, key=lambda name: min(times[name]))


def split(tree: Any) -> Any:
  """Rows [B, ...] -> [cores, B / cores, ...], on the devices."""
  return jax.pmap(lambda part: part)(
    jax.tree.map(lambda a: a.reshape(machine.DEVICES, -1, *a.shape[1:]), tree)
  )


def our_lime(logits_fn: LogitsFn, segments: np.ndarray, chunk_size: int, samples: int) -> Any:
  """Explains a device's share of the images."""

  def explain(keys: Array, x: Array, y: Array) -> Array:
    return explain_locally(
      keys,
      logits_fn,
      x,
      y,
      segments=segments,
      samples=samples,
      chunk_size=chunk_size,
    ).coefficients

  return jax.pmap(explain)


def best_of_ours(
  logits_fn: LogitsFn, segments: np.ndarray, arguments: tuple[Array, ...], samples: int = SAMPLES
) -> Callable[[], Array]:
  """Our call with its fastest chunk size, found on one image per device."""
  few = tuple(argument[:, :1] for argument in arguments)
  programs = {size: our_lime(logits_fn, segments, size, samples) for size in CHUNK_SIZES}
  best = fastest(
    {
      size: functools.partial(lambda program: program(*few).block_until_ready(), program)
      for size, program in programs.items()
    }
  )
  program = programs[best].lower(*arguments).compile()
  return lambda: program(*arguments).block_until_ready()


def peer_lime(classify: Classify, segments: np.ndarray, batch_size: int) -> Callable:
  """Explains images [B, H, W, 1] one after the other, as the package does."""
  explainer = lime_image.LimeImageExplainer(random_state=0, feature_selection="none")

  def explain(images: np.ndarray) -> None:
    for image in images[..., 0]:
      explainer.explain_instance(
        image,
        classify,
        top_labels=1,
        num_samples=SAMPLES,
        batch_size=batch_size,
        segmentation_fn=lambda _: segments,
      )

  return explain


def best_of_peer(
  classifiers: dict[str, Classify], segments: np.ndarray, images: np.ndarray
) -> tuple[str, Callable[[], None]]:
  """The package's call with its fastest batch size and classifier, found on one image."""
  programs = {
    (name, size): peer_lime(classify, segments, size)
    for name, classify in classifiers.items()
    for size in PEER_BATCH_SIZES
  }
  best = fastest(
    {setting: functools.partial(program, images[:1]) for setting, program in programs.items()}
  )
  return f"{best[0]}, batches of {best[1]}", functools.partial(programs[best], images)


def jitted(function: Callable) -> Classify:
  """The classifier that a user of JAX hands to the package."""
  classify = jax.jit(lambda x: jax.nn.softmax(full_precision(function)(x[..., :1])))
  return lambda images: np.asarray(classify(jnp.asarray(images, jnp.float32)))


def cells(network: str, x: Array, y: Array, repeats: int) -> None:
  """49 cells, with a network."""
  module = models.build(network)
  variables = models.init(module, jax.random.key(0), x.shape[1:])
  logits_fn = models.logits_fn(module, variables)
  segments = grid(x)
  arguments = split((example_keys(jax.random.key(1), len(x)), x, y))
  ours = best_of_ours(logits_fn, segments, arguments)

  twin = Twin(variables)

  @torch.no_grad()
  def by_torch(images: np.ndarray) -> np.ndarray:
    return torch.softmax(twin(images_for_torch(images[..., :1]).float()), 1).numpy()

  peer_name, peer = best_of_peer(
    {"jax.jit": jitted(logits_fn), "PyTorch": by_torch}, segments, np.asarray(x, np.float32)
  )

  forward = jax.pmap(full_precision(logits_fn))
  batches = {
    size: split(jax.random.uniform(jax.random.key(2), (machine.DEVICES * size, *x.shape[1:])))
    for size in CHUNK_SIZES
  }
  total = len(x) * SAMPLES

  def bare(size: int, rows: int = total) -> None:
    for _ in range(rows // (machine.DEVICES * size)):
      forward(batches[size]).block_until_ready()

  size = fastest({size: functools.partial(bare, size, 4000) for size in CHUNK_SIZES})
  names = (
    f"robust_saliency: LIME, jax.pmap over {machine.DEVICES} devices",
    f"lime 0.2.0.1: {peer_name}",
    f"bare forward passes: jax.pmap over {machine.DEVICES} devices, {size} images each",
  )
  calls = (ours, peer, functools.partial(bare, size))
  times = timing.take_turns(dict(zip(names, calls, strict=True)), repeats=repeats, warm_up=0)
  print(
    timing.report(
      f"lime_cells_{network}",
      f"LIME with {SAMPLES} samples and 49 cells on {len(x)} MNIST images, network {network}.",
      times,
      compile_seconds={},
      ratios={
        "lime's time / ours": (names[1], names[0], "at least 2"),
        "our time / bare forward passes": (names[0], names[2], "at most 1.3"),
      },
      environment=machine.environment("jax", "torch", "lime", "scikit-learn"),
    )
  )


def every_pixel(x: Array, y: Array, repeats: int) -> None:
  """784 pixels, with a linear model."""
  x, y = x[:PIXEL_IMAGES], y[:PIXEL_IMAGES]
  slopes = jax.random.normal(jax.random.key(0), (x[0].size, 10))

  def linear(images: Array) -> Array:
    return images.reshape(len(images), -1) @ slopes / 28

  arguments = split((example_keys(jax.random.key(1), len(x)), x, y))
  ours = best_of_ours(linear, pixels(x), arguments)
  weights = np.asarray(slopes) / 28

  def by_numpy(images: np.ndarray) -> np.ndarray:
    logits = images[..., 0].reshape(len(images), -1) @ weights
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)

  peer_name, peer = best_of_peer({"NumPy": by_numpy}, pixels(x), np.asarray(x, np.float32))
  forward = jax.jit(linear)
  rows = jax.random.uniform(jax.random.key(2), (500, *x.shape[1:]))

  def bare() -> None:
    for _ in range(len(x) * SAMPLES // len(rows)):
      forward(rows).block_until_ready()

  times = timing.take_turns({"ours": ours, "lime": peer, "bare": bare}, repeats=repeats, warm_up=1)

  def less_model(name: str) -> list[float]:
    return [whole - part for whole, part in zip(times[name], times["bare"], strict=True)]

  names = (
    f"robust_saliency: LIME, jax.pmap over {machine.DEVICES} devices, less the model's time",
    f"lime 0.2.0.1: {peer_name}, less the model's time",
  )
  print(
    timing.report(
      "lime_pixels",
      f"LIME with {SAMPLES} samples and 784 pixels on {len(x)} MNIST images, a linear model.",
      {
        names[0]: less_model("ours"),
        names[1]: less_model("lime"),
        "the model's own time": times["bare"],
      },
      compile_seconds={},
      ratios={"lime's time / ours": (names[1], names[0], "at least 10")},
      environment=machine.environment("jax", "lime", "scikit-learn"),
    )
  )


def global_explanation(repeats: int) -> None:
  """LIME and NormLIME over the embedded digits, every pixel a feature."""
  digits = data.load("digits")
  x, y = jnp.asarray(digits.to_float(digits.train.x[:DIGITS])), jnp.asarray(digits.train.y[:DIGITS])
  module = models.build("digits")
  logits_fn = models.logits_fn(module, models.init(module, jax.random.key(0), x.shape[1:]))
  arguments = split((example_keys(jax.random.key(1), DIGITS), x, y))
  explain = best_of_ours(logits_fn, pixels(x), arguments, DIGITS_SAMPLES)
  coefficients = explain().reshape(DIGITS, -1)
  aggregate = jax.jit(lambda w: normlime(w, y, classes=10))
  print(
    timing.report(
      "normlime",
      f"NormLIME over {DIGITS} digits of 8x8, 64 pixels, {DIGITS_SAMPLES} samples each.",
      timing.take_turns(
        {
          "LIME of all digits": explain,
          "NormLIME of the explanations": lambda: aggregate(coefficients).block_until_ready(),
        },
        repeats=repeats,
      ),
      compile_seconds={},
      ratios={},
      environment=machine.environment("jax"),
    )
  )


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument("--network", default="ross", choices=("ross", "digits"))
  parser.add_argument("--images", type=int, default=100)
  parser.add_argument("--repeats", type=int, default=5)
  parser.add_argument("--cells_only", action="store_true", help="skip the pixels and NormLIME")
  options = parser.parse_args()
  # The package's progress bars would be timed too.
  lime_image.tqdm = lambda rows: rows
  torch.set_num_threads(machine.CORES)

  mnist = data.load("mnist")
  x = jnp.asarray(mnist.to_float(mnist.test.x[: options.images]))
  y = jnp.asarray(mnist.test.y[: options.images])
  cells(options.network, x, y, options.repeats)
  if not options.cells_only:
    every_pixel(x, y, options.repeats)
    global_explanation(options.repeats)


if __name__ == "__main__":
  main()
