"""Compiles programs for TPU v5e and lowers them for CUDA, on a machine that has neither.

`make check-tpu` runs it, in a virtual environment of its own with libtpu, which brings the real
TPU compiler. A program passes if it compiles, fits the memory of one chip and lowers for CUDA.
Words after the command choose cases: `python tests/tpu/check_tpu.py pgd smoothgrad`.

To add a case, write a function that returns a `Program` and put it into `CASES`.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import Array, export
from jax.experimental import topologies

from robust_saliency import attacks, attributions
from robust_saliency.core import LogitsFn
from robust_saliency.models.convolution import loop_safe_conv

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
    arguments: their shapes and types; arrays or `jax.ShapeDtypeStruct`s, trees allowed.
    in_axes: None for a program of one device; else it is pmapped over the axis "batch", and an
      argument whose entry is 0 has a leading axis of length `DEVICES`.
    out_axes: as in `jax.pmap`.
  """

  function: Callable[..., Any]
  arguments: tuple[Any, ...]
  in_axes: tuple[int | None, ...] | None = None
  out_axes: Any = 0


def shape(*sizes: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
  """Describes an array."""
  return jax.ShapeDtypeStruct(sizes, dtype)


def key_shape() -> jax.ShapeDtypeStruct:
  """Describes a PRNG key."""
  return jax.eval_shape(lambda: jax.random.key(0))


def compile_for_v5e(program: Program, devices: Sequence[Any]) -> jax.stages.Compiled:
  """Compiles a program for TPU devices that are described but absent."""
  if program.in_axes is not None:
    mapped = jax.pmap(
      program.function,
      axis_name="batch",
      in_axes=program.in_axes,
      out_axes=program.out_axes,
      devices=devices,
    )
    return mapped.lower(*program.arguments).compile()
  first_device = jax.sharding.SingleDeviceSharding(devices[0])
  placed = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=first_device),
    program.arguments,
  )
  return jax.jit(program.function).lower(*placed).compile()


def lower_for_cuda(program: Program) -> None:
  """Lowers a program for CUDA; its own compiler is not asked."""
  function = program.function
  if program.in_axes is not None:
    function = jax.pmap(
      function, axis_name="batch", in_axes=program.in_axes, out_axes=program.out_axes
    )
  export.export(jax.jit(function), platforms=["cuda"])(*program.arguments)


def network() -> tuple[Callable[[Any, Array], Array], Any]:
  """A small CNN on 28x28 images with the loop-safe convolution: (apply, variables' shapes)."""
  model = nn.Sequential(
    [
      nn.Conv(32, (5, 5), conv_general_dilated=loop_safe_conv),
      nn.relu,
      partial(nn.max_pool, window_shape=(2, 2), strides=(2, 2)),
      nn.Conv(64, (5, 5), conv_general_dilated=loop_safe_conv),
      nn.relu,
      partial(nn.max_pool, window_shape=(2, 2), strides=(2, 2)),
      lambda x: x.reshape(x.shape[0], -1),
      nn.Dense(10),
    ]
  )
  variables = jax.eval_shape(model.init, key_shape(), shape(1, 28, 28, 1))
  return model.apply, variables


def explained(method: Callable[..., Array]) -> Program:
  """An attack or an attribution of the network, for 128 images on one device."""
  apply, variables = network()

  def program(variables: Any, key: Array, x: Array, y: Array) -> Array:
    logits_fn: LogitsFn = partial(apply, variables)
    return method(key, logits_fn, x, y)

  images, labels = shape(128, 28, 28, 1), shape(128, dtype=jnp.int32)
  return Program(program, (variables, key_shape(), images, labels))


def adversarial_step() -> Program:
  """One pmapped step of PGD training, 32 images on each device."""
  apply, variables = network()

  def step(variables: Any, key: Array, x: Array, y: Array) -> Any:
    def loss(variables: Any) -> Array:
      logits_fn = partial(apply, variables)
      x_adv = attacks.pgd(key, logits_fn, x, y, epsilon=0.3, steps=10, unroll=False)
      logits = apply(variables, jax.lax.stop_gradient(x_adv))
      return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    gradient = jax.lax.pmean(jax.grad(loss)(variables), "batch")
    return jax.tree.map(lambda value, slope: value - 0.1 * slope, variables, gradient)

  images, labels = shape(DEVICES, 32, 28, 28, 1), shape(DEVICES, 32, dtype=jnp.int32)
  return Program(
    step, (variables, key_shape(), images, labels), in_axes=(None, None, 0, 0), out_axes=None
  )


# Loops are left rolled, as they are by default where the program really runs on a TPU.
CASES: dict[str, Callable[[], Program]] = {
  "adversarial step": adversarial_step,
  "pgd-40 linf": lambda: explained(partial(attacks.pgd, epsilon=0.3, unroll=False)),
  "pgd-40 l2": lambda: explained(partial(attacks.pgd, norm="l2", epsilon=2.0, unroll=False)),
  "pgd-40 l1": lambda: explained(partial(attacks.pgd, norm="l1", epsilon=10.0, unroll=False)),
  "smoothgrad-50": lambda: explained(partial(attributions.smoothgrad, samples=50, unroll=False)),
}


def check(program: Program, devices: Sequence[Any]) -> tuple[str, bool]:
  """Compiles and lowers one program; returns its line of the table, and whether it passes."""
  start = time.perf_counter()
  compiled = compile_for_v5e(program, devices)
  seconds = time.perf_counter() - start
  memory = compiled.memory_analysis()
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
    f"{seconds:7.1f} {memory.temp_size_in_bytes / 2**20:10.1f} {needed / 2**20:10.1f} "
    f" {'yes' if fits else 'NO':<8}  yes"
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

  print(f"jax {jax.__version__}, {len(devices)} x {devices[0].device_kind}")
  print(f"{'':24} seconds  temp. MiB  total MiB  fits 16G  lowers for cuda")
  failed = []
  for name in chosen:
    try:
      line, passes = check(CASES[name](), devices)
    except Exception as error:  # the table goes on, and the status tells
      line, passes = f"  FAILED  {type(error).__name__}: {error}", False
    print(f"{name:24} {line}", flush=True)
    if not passes:
      failed.append(name)
  if failed:
    print(f"Failed: {', '.join(failed)}.")
  return 1 if failed else 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
