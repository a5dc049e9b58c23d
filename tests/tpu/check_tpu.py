"""Compiles programs for TPU v5e and lowers them for CUDA, on a machine that has neither.

`make check-tpu` runs it, in a virtual environment of its own with libtpu, which brings the real
TPU compiler. A program passes if it compiles, fits the memory of one chip and lowers for CUDA.
Words after the command choose cases: `python tests/tpu/check_tpu.py step smoothgrad`.

To add a case, write a function that returns a `Program` and put it into `CASES`.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import optax
from jax import Array, export
from jax.experimental import topologies

from robust_saliency import attacks, attributions, models, objectives
from robust_saliency.training import vae_gan
from robust_saliency.training.state import create_state
from robust_saliency.training.step import AXIS, make_step, map_over_devices

TOPOLOGY = "v5e:2x2"
DEVICES = 4
MEMORY = 16 * 2**30  # bytes of one chip

# What libtpu asks of its surroundings, so that it does not look for a machine with TPUs, and host
# devices to stand for GPUs.
ENVIRONMENT = {
  "JAX_PLATFORMS": "cpu",
  "XLA_FLAGS": f"--xla_force_host_platform_device_count={DEVICES}",
  "TPU_SKIP_MDS_QUERY": "1",
  "TPU_ACCELERATOR_TYPE": "v5litepod-4",
  "TPU_WORKER_HOSTNAMES": "localhost",
  "TPU_WORKER_ID": "0",
}


@dataclass(frozen=True)
class Program:
  """A function and what it is compiled for.

  Attributes:
    function: takes and returns arrays (or trees of them).
    arguments: `jax.ShapeDtypeStruct`s (or trees of them) that describe its arguments.
    pmapped: whether it is a training step, mapped over all devices as training maps it, or a
      program of one device.
  """

  function: Callable[..., Any]
  arguments: tuple[Any, ...]
  pmapped: bool = False


def shape(*sizes: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
  """Describes an array."""
  return jax.ShapeDtypeStruct(sizes, dtype)


def compile_for_v5e(program: Program, devices: Sequence[Any]) -> jax.stages.Compiled:
  """Compiles a program for TPU devices that are described but absent."""
  if program.pmapped:
    return map_over_devices(program.function, devices).lower(*program.arguments).compile()
  first_device = jax.sharding.SingleDeviceSharding(devices[0])
  placed = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=first_device),
    program.arguments,
  )
  return jax.jit(program.function).lower(*placed).compile()


def lower_for_cuda(program: Program) -> None:
  """Lowers a program for CUDA, whose own compiler is not asked."""
  function = map_over_devices(program.function) if program.pmapped else program.function
  export.export(jax.jit(function), platforms=["cuda"])(*program.arguments)


def explanation(method: Callable[..., Array]) -> Program:
  """An attack or an attribution of Ross's network, on 128 images of MNIST's size."""
  module = models.RossCNN()
  key = jax.eval_shape(lambda: jax.random.key(0))
  variables = jax.eval_shape(module.init, key, shape(1, 28, 28, 1))

  def explain(variables: Any, key: Array, x: Array, y: Array) -> Array:
    return method(key, models.logits_fn(module, variables), x, y)

  images, labels = shape(128, 28, 28, 1), shape(128, dtype=jnp.int32)
  return Program(explain, (variables, key, images, labels))


def training_step(terms: Mapping[str, Mapping[str, Any]]) -> Program:
  """A step of Ross's network with 64 images per device, MNIST on every device."""
  module = models.RossCNN(axis_name=AXIS)
  optimizer = optax.adam(1e-3)
  step = make_step(
    models.apply_fn(module),
    objectives.weighted_sum(terms),
    optimizer,
    to_float=lambda pixels: pixels.astype(jnp.float32) / 255,
  )

  def initial_state() -> Any:
    return create_state(models.init(module, jax.random.key(0), (28, 28, 1)), optimizer, seed=0)

  data = {
    "x": shape(60_000, 28, 28, 1, dtype=jnp.uint8),
    "y": shape(60_000, dtype=jnp.int32),
    "soft_targets": shape(60_000, 10),
    "maps": shape(60_000, 28, 28, 1),
  }
  indices = shape(DEVICES, 64, dtype=jnp.int32)
  return Program(step, (jax.eval_shape(initial_state), data, indices), pmapped=True)


def vae_gan_step(side: int) -> Program:
  """A step of a VAE-GAN's three networks with 64 images per device."""
  shape_of_image = (side, side, 3 if side == 32 else 1)
  module = models.VAEGAN(shape_of_image, axis_name=AXIS)
  optimizer = optax.adam(5e-4)
  step = vae_gan.vae_gan_step(
    module,
    optimizer,
    vae_gan.Settings(reconstruction=0.01),
    to_float=lambda pixels: pixels.astype(jnp.float32) / 127.5 - 1,
  )

  def initial_state() -> Any:
    return vae_gan.initial_state(module, optimizer, jax.random.key(0), seed=0)

  data = {"x": shape(50_000, *shape_of_image, dtype=jnp.uint8), "y": shape(50_000, dtype=jnp.int32)}
  indices = shape(DEVICES, 64, dtype=jnp.int32)
  return Program(step, (jax.eval_shape(initial_state), data, indices), pmapped=True)


pgd = partial(attacks.pgd, steps=40)
smoothgrad = partial(attributions.smoothgrad, samples=50)
attack = {"name": "pgd", "epsilon": 0.3, "steps": 40}

CASES: dict[str, Callable[[], Program]] = {
  "step: plain": lambda: training_step({"cross_entropy": {}}),
  "step: VAE-GAN of MNIST": lambda: vae_gan_step(28),
  "step: VAE-GAN of CIFAR-10": lambda: vae_gan_step(32),
  "step: distillation": lambda: training_step({"distillation": {}}),
  "step: gradient penalty": lambda: training_step(
    {"cross_entropy": {}, "input_gradient_penalty": {"weight": 0.1}}
  ),
  "step: interpretation": lambda: training_step(
    {
      "cross_entropy": {},
      "interpretation_direction": {"weight": 3.0, "threshold": 1.0},
      "interpretation_magnitude": {"weight": 0.15},
    }
  ),
  "step: every row of the jacobian": lambda: training_step(
    {
      "cross_entropy": {},
      "jacobian_penalty": {"weight": 0.01},
      "projected_jacobian_penalty": {"weight": 0.01},
      "cross_lipschitz_penalty": {"weight": 0.01},
      "class_mean_alignment": {},
    }
  ),
  "step: trades": lambda: training_step(
    {"cross_entropy": {}, "trades": {"weight": 6.0, "attack": {**attack, "start_deviation": 0.001}}}
  ),
  "step: penalty and pgd-40": lambda: training_step(
    {
      "cross_entropy": {"weight": 0.5},
      "adversarial": {"weight": 0.5, "attack": attack},
      "certainty_penalty": {"weight": 0.1},
    }
  ),
  "pgd-40 linf": lambda: explanation(partial(pgd, epsilon=0.3)),
  "pgd-40 l2": lambda: explanation(partial(pgd, norm="l2", epsilon=2.0)),
  "pgd-40 l1": lambda: explanation(partial(pgd, norm="l1", epsilon=10.0)),
  "deepfool": lambda: explanation(attacks.deepfool),
  "fab-t linf": lambda: explanation(attacks.fab),
  "fab-t l2": lambda: explanation(partial(attacks.fab, norm="l2")),
  "fab-t l1": lambda: explanation(partial(attacks.fab, norm="l1")),
  "fmn linf": lambda: explanation(attacks.fmn),
  "fmn l1": lambda: explanation(partial(attacks.fmn, norm="l1")),
  "apgd-100 linf": lambda: explanation(
    partial(attacks.apgd, epsilon=0.3, restarts=5, chunk_size=64)
  ),
  "apgd-100 l1": lambda: explanation(partial(attacks.apgd, norm="l1", epsilon=10.0, keep="first")),
  "apgd-100 targeted l2": lambda: explanation(
    partial(attacks.apgd_targeted, norm="l2", epsilon=2.0)
  ),
  "cw l2": lambda: explanation(attacks.cw_l2),
  "square linf": lambda: explanation(partial(attacks.square, epsilon=0.3, restarts=2)),
  "square l2": lambda: explanation(partial(attacks.square, norm="l2", epsilon=2.0)),
  "square l1": lambda: explanation(partial(attacks.square, norm="l1", epsilon=10.0)),
  "jsma": lambda: explanation(partial(attacks.jsma, targeted=True)),
  "smoothgrad-50": lambda: explanation(smoothgrad),
  "smoothgrad of IG": lambda: explanation(
    partial(smoothgrad, attribution=attributions.integrated_gradients)
  ),
}


def check(program: Program, devices: Sequence[Any]) -> tuple[str, bool]:
  """Compiles and lowers one program; returns its line of the table, and whether it passes."""
  start = time.perf_counter()
  memory = compile_for_v5e(program, devices).memory_analysis()
  seconds = time.perf_counter() - start
  needed = (
    memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
    + memory.temp_size_in_bytes
    + memory.generated_code_size_in_bytes
  )
  lower_for_cuda(program)
  fits = needed <= MEMORY
  line = (
    f"{seconds:7.1f} {memory.temp_size_in_bytes / 2**20:10.1f} {needed / 2**20:10.1f}"
    f"  {'yes' if fits else 'NO':<8}  yes"
  )
  return line, fits


def main(words: Sequence[str]) -> int:
  """Checks the cases whose name contains one of the words (all without words)."""
  os.environ.update(ENVIRONMENT)
  chosen = [name for name in CASES if not words or any(word in name for word in words)]
  if not chosen:
    print(f"No case matches {' '.join(words)}: there are {', '.join(CASES)}.")
    return 2
  jax.config.update("jax_enable_compilation_cache", False)  # cannot be read back without a TPU
  devices = topologies.get_topology_desc(platform="tpu", topology_name=TOPOLOGY).devices

  print(f"jax {jax.__version__}, {len(devices)} x {devices[0].device_kind}; memory of one device")
  print(f"{'':25} seconds  temp. MiB  total MiB  fits 16G  lowers for cuda")
  failed = []
  for name in chosen:
    try:
      # Some programs are written in another way for CPU.
      with mock.patch.object(jax, "default_backend", return_value="tpu"):
        line, passes = check(CASES[name](), devices)
    except Exception as error:  # the table goes on, and the status tells
      line, passes = f"  FAILED  {type(error).__name__}: {error}", False
    print(f"{name:25} {line}", flush=True)
    if not passes:
      failed.append(name)
  if failed:
    print(f"Failed: {', '.join(failed)}.")
  return 1 if failed else 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
