"""SmoothGrad-50 and Integrated Gradients-50 on Ross's network, beside captum's and PAIR's.

  python benchmarks/attributions.py       # writes benchmarks/results/attributions.{json,md}

16 images of 28x28, on the host devices that training gets; in PyTorch the same weights and a thread
per core. All with the batch setting that a first round finds fastest. On a GPU (`make bench-gpu`)
256 images, in float32, without PAIR, which explains one image at a time.
"""

import machine  # before all others

# isort: split
import argparse
import functools
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import captum.attr as peers
import jax
import numpy as np
import timing
import torch
from jax import Array
from torch import nn
from torch_twin import Twin, Variables, classes_for_torch, images_for_torch

from robust_saliency import models
from robust_saliency.attributions import integrated_gradients, smoothgrad
from robust_saliency.core import example_keys

IMAGES = machine.size(16, on_gpu=256)
SAMPLES = 50
NOISE_LEVEL = 0.15
SMOOTHGRAD, INTEGRATED = f"SmoothGrad-{SAMPLES}", f"Integrated Gradients-{SAMPLES}"
# Rows per model call, on one device; None is one sample of every image.
CHUNK_SIZES: tuple[int | None, ...] = machine.size(
  (None, 16, 32, 64, 128, 400), on_gpu=(None, 1600, 6400)
)
# captum: noisy copies per call, of every image; rows per call.
NT_BATCHES = machine.size((1, 2, 5, 10, 25, 50), on_gpu=(1, 5, 25, 50))
IG_BATCHES = machine.size((16, 32, 80, 160, 400, 800), on_gpu=(400, 1600, 6400, 12_800))
# PAIR explains one image at a time: points of its path per call. SmoothGrad takes one per call.
PAIR_IG_BATCHES = (5, 10, 25, 50)

MODULE = models.build("ross")
Call = Callable[[], Any]
# What runs with one batch setting, and the settings to try.
Rival = tuple[Callable[[int], None], tuple[int, ...]]
Setting = TypeVar("Setting", bound=Hashable)


def fastest(calls: Mapping[Setting, Call]) -> tuple[Setting, Call]:
  """The setting whose best of three calls is fastest, after one that is not counted."""
  times = timing.take_turns(
    {str(setting): call for setting, call in calls.items()}, repeats=3, warm_up=1
  )
  best = min(calls, key=lambda setting: min(times[str(setting)]))
  return best, calls[best]


def ours(
  method: Callable[..., Array],
  settings: Mapping[str, Any],
  variables: Variables,
  split: tuple[Array, Array, Array],
) -> tuple[int | None, Call, float]:
  """(chunk size, its call, the seconds that it took to compile)."""
  compile_seconds = {}

  def compiled(chunk_size: int | None) -> Call:
    def explain(variables: Variables, keys: Array, x: Array, y: Array) -> Array:
      logits_fn = models.logits_fn(MODULE, variables)
      return method(keys, logits_fn, x, y, chunk_size=chunk_size, **settings)

    arguments = (replicated(variables, split[2]), *split)
    programs: list[jax.stages.Compiled] = []
    compile_seconds[chunk_size] = timing.seconds(
      lambda: programs.append(jax.pmap(explain).lower(*arguments).compile())
    )
    return lambda: programs[0](*arguments).block_until_ready()

  chunk_size, call = fastest({size: compiled(size) for size in CHUNK_SIZES})
  return chunk_size, call, compile_seconds[chunk_size]


def replicated(variables: Variables, each: Array) -> Variables:
  return jax.pmap(lambda _, tree: tree, in_axes=(0, None))(each, variables)


def by_pair(twin: nn.Module, x: Array, y: Array) -> dict[str, Rival]:
  """PAIR's SmoothGrad and Integrated Gradients of these images, one after the other."""
  import saliency.core as pair  # a bare machine with a GPU has not got it

  def slope_for_pair(images: np.ndarray, call_model_args: int, expected_keys: Any) -> Any:
    given = torch.from_numpy(np.asarray(images, np.float32)).permute(0, 3, 1, 2).requires_grad_()
    (slope,) = torch.autograd.grad(twin(given)[:, call_model_args].sum(), given)
    return {pair.base.INPUT_OUTPUT_GRADIENTS: slope.permute(0, 2, 3, 1).numpy()}

  one_by_one = list(zip(np.asarray(x), y.tolist(), strict=True))

  def smooth_by_pair(_: int) -> None:
    for image, label in one_by_one:
      pair.GradientSaliency().GetSmoothedMask(
        image, slope_for_pair, label, stdev_spread=NOISE_LEVEL, nsamples=SAMPLES, magnitude=False
      )

  def integrate_by_pair(rows: int) -> None:
    for image, label in one_by_one:
      pair.IntegratedGradients().GetMask(
        image, slope_for_pair, label, x_steps=SAMPLES, batch_size=rows
      )

  return {
    SMOOTHGRAD: (smooth_by_pair, (1,)),
    INTEGRATED: (integrate_by_pair, PAIR_IG_BATCHES),
  }


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument("--repeats", type=int, default=10)
  repeats = parser.parse_args().repeats

  variables = models.init(MODULE, jax.random.key(0), (28, 28, 1))
  x = jax.random.uniform(jax.random.key(1), (IMAGES, 28, 28, 1))
  y = jax.random.randint(jax.random.key(2), (IMAGES,), 0, 10)
  keys = example_keys(jax.random.key(3), IMAGES)
  dealt = jax.tree.map(lambda a: a.reshape(machine.DEVICES, -1, *a.shape[1:]), (keys, x, y))
  split = jax.pmap(lambda part: part)(dealt)

  machine.prepare_torch(tf32=False)
  twin = Twin(variables)
  torch_x, torch_y = images_for_torch(x), classes_for_torch(y)
  tunnel = peers.NoiseTunnel(peers.Saliency(twin))
  path = peers.IntegratedGradients(twin)

  def smooth(copies: int) -> None:
    tunnel.attribute(
      torch_x,
      nt_type="smoothgrad",
      nt_samples=SAMPLES,
      nt_samples_batch_size=copies,
      stdevs=NOISE_LEVEL,
      target=torch_y,
      abs=False,
    )
    machine.wait_for_torch()

  def integrate(rows: int) -> None:
    path.attribute(torch_x, 0.0, torch_y, n_steps=SAMPLES, internal_batch_size=rows)
    machine.wait_for_torch()

  pair: dict[str, dict[str, Rival]] = {SMOOTHGRAD: {}, INTEGRATED: {}}
  if not machine.ON_GPU:
    pair = {what: {"PAIR": rival} for what, rival in by_pair(twin, x, y).items()}
  contestants: dict[str, Call] = {}
  compile_seconds: dict[str, float] = {}
  ratios: dict[str, tuple[str, str, str]] = {}

  def enter(
    what: str,
    method: Callable[..., Array],
    settings: Mapping[str, Any],
    rivals: Mapping[str, Rival],
    target: str,
  ) -> None:
    chunk_size, call, seconds = ours(method, settings, variables, split)
    our_name = (
      f"robust_saliency: {what}, jax.pmap over {machine.DEVICES} devices, chunk_size={chunk_size}"
    )
    contestants[our_name], compile_seconds[our_name] = call, seconds
    for rival, (run, batches) in rivals.items():
      batch, peer_call = fastest({batch: functools.partial(run, batch) for batch in batches})
      peer_name = f"{rival}: {what}, batch setting {batch}"
      contestants[peer_name] = peer_call
      ratios[f"{what}: {rival}'s time / ours"] = (peer_name, our_name, target)

  enter(
    SMOOTHGRAD,
    smoothgrad,
    {"samples": SAMPLES, "noise_level": NOISE_LEVEL},
    {"captum": (smooth, NT_BATCHES), **pair[SMOOTHGRAD]},
    "at least 1.3",
  )
  enter(
    INTEGRATED,
    integrated_gradients,
    {"steps": SAMPLES},
    {"captum": (integrate, IG_BATCHES), **pair[INTEGRATED]},
    "at least 1",
  )
  print(
    timing.report(
      machine.result("attributions"),
      f"SmoothGrad and Integrated Gradients, {SAMPLES} gradients each of {IMAGES} images of "
      "28x28x1 on Ross's network, float32.",
      timing.take_turns(contestants, repeats=repeats),
      compile_seconds=compile_seconds,
      ratios=ratios,
      environment=machine.environment(
        "jax", "torch", "captum", *machine.size(("saliency",), on_gpu=())
      ),
    )
  )


if __name__ == "__main__":
  main()
