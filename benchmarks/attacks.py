"""PGD-10 and Auto-PGD-100 on Ross's network, beside torchattacks.

  python benchmarks/attacks.py            # writes benchmarks/results/attacks.{json,md}, apgd.*

linf, 28x28 images, on as many host devices as there are cores; in PyTorch the same weights and as
many threads. PGD: random start, last iterate, 128 images, beside ten separate input gradients too.
Auto-PGD: cross-entropy, 32 images, best iterate, on one device as well.
"""

import os
from typing import Any

CORES = os.cpu_count() or 1
os.environ["XLA_FLAGS"] = (
  f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={CORES}"
)
if os.getloadavg()[0] > CORES:
  # On a busy machine PyTorch's threads are several times faster if they sleep while they wait.
  os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import timing  # noqa: E402
import torch  # noqa: E402
import torchattacks  # noqa: E402
from jax import Array  # noqa: E402
from torch_twin import Twin, Variables, images_for_torch  # noqa: E402

from robust_saliency import models  # noqa: E402
from robust_saliency.attacks import apgd, cross_entropy, pgd  # noqa: E402
from robust_saliency.core import example_keys, full_precision  # noqa: E402

BATCH = 128
STEPS = 10
EPSILON = 0.2
STEP_SIZE = 0.05
APGD_BATCH = 32
APGD_STEPS = 100

OURS = f"robust_saliency: PGD-10, jax.pmap over {CORES} devices"
PEER = "torchattacks: PGD-10"
GRADIENTS = "ten calls of a jitted input gradient, one device"
MAPPED_GRADIENTS = f"ten calls of a pmapped input gradient, {CORES} devices"
APGD_OURS = "robust_saliency: APGD-CE-100, one device"
APGD_MAPPED = f"robust_saliency: APGD-CE-100, jax.pmap over {CORES} devices"
APGD_PEER = "torchattacks: APGD-CE-100"

MODULE = models.build("ross")


def attack(keys: Array, variables: Variables, x: Array, y: Array) -> Array:
  logits_fn = models.logits_fn(MODULE, variables)
  return pgd(
    keys,
    logits_fn,
    x,
    y,
    epsilon=EPSILON,
    step_size=STEP_SIZE,
    steps=STEPS,
    keep="last",
  )


def auto_pgd(keys: Array, variables: Variables, x: Array, y: Array) -> Array:
  logits_fn = models.logits_fn(MODULE, variables)
  return apgd(keys, logits_fn, x, y, epsilon=EPSILON, steps=APGD_STEPS)


@full_precision
def input_gradient(variables: Variables, x: Array, y: Array) -> Array:
  logits_fn = models.logits_fn(MODULE, variables)
  return jax.grad(lambda x: jnp.sum(cross_entropy(logits_fn(x), y)))(x)


def split_over_devices(*arrays: Array) -> tuple[Array, ...]:
  parts = jax.tree.map(lambda a: a.reshape(CORES, -1, *a.shape[1:]), arrays)
  return jax.pmap(lambda part: part)(parts)


def replicate(variables: Variables) -> Variables:
  return jax.pmap(lambda _, tree: tree, in_axes=(0, None))(jnp.zeros(CORES), variables)


class Programs:
  """Compiles functions and keeps how long that took."""

  def __init__(self) -> None:
    self.seconds: dict[str, float] = {}

  def compile(
    self, name: str, function: jax.stages.Wrapped, *arguments: object
  ) -> jax.stages.Compiled:
    """The function compiled for these arguments."""
    program: list[jax.stages.Compiled] = []
    self.seconds[name] = timing.seconds(
      lambda: program.append(function.lower(*arguments).compile())
    )
    return program[0]


def environment() -> dict[str, Any]:
  return timing.environment("jax", "torch", "torchattacks") | {
    "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "active")
  }


def time_pgd(variables: Variables, x: Array) -> str:
  y = jax.random.randint(jax.random.key(2), (BATCH,), 0, 10)
  keys = example_keys(jax.random.key(3), BATCH)
  each_keys, each_x, each_y = split_over_devices(keys, x, y)
  replicated = replicate(variables)

  programs = Programs()
  ours = programs.compile(OURS, jax.pmap(attack), each_keys, replicated, each_x, each_y)
  slope = programs.compile(GRADIENTS, jax.jit(input_gradient), variables, x, y)
  mapped = programs.compile(MAPPED_GRADIENTS, jax.pmap(input_gradient), replicated, each_x, each_y)
  peer = torchattacks.PGD(Twin(variables), eps=EPSILON, alpha=STEP_SIZE, steps=STEPS)
  torch_x, torch_y = images_for_torch(x), torch.tensor(y.tolist())

  def ten_gradients() -> None:
    for _ in range(STEPS):
      slope(variables, x, y).block_until_ready()

  def ten_mapped_gradients() -> None:
    for _ in range(STEPS):
      mapped(replicated, each_x, each_y).block_until_ready()

  times = timing.take_turns(
    {
      OURS: lambda: ours(each_keys, replicated, each_x, each_y).block_until_ready(),
      PEER: lambda: peer(torch_x, torch_y),
      GRADIENTS: ten_gradients,
      MAPPED_GRADIENTS: ten_mapped_gradients,
    }
  )
  return timing.report(
    "attacks",
    f"PGD-{STEPS} (linf, last iterate) on Ross's network, {BATCH} images of 28x28x1, float32.",
    times,
    compile_seconds=programs.seconds,
    ratios={
      "torchattacks' time / ours": (PEER, OURS, "at least 1.3"),
      "our time / ten jitted gradients": (OURS, GRADIENTS, "at most 1.3"),
      "our time / ten pmapped gradients": (OURS, MAPPED_GRADIENTS, "at most 1.3"),
    },
    environment=environment(),
  )


def time_apgd(variables: Variables, x: Array) -> str:
  # What the network says itself: torchattacks passes over images that are wrong from the start.
  y = jnp.argmax(models.logits_fn(MODULE, variables)(x), axis=-1)
  keys = example_keys(jax.random.key(3), APGD_BATCH)
  each_keys, each_x, each_y = split_over_devices(keys, x, y)
  replicated = replicate(variables)

  programs = Programs()
  ours = programs.compile(APGD_OURS, jax.jit(auto_pgd), keys, variables, x, y)
  mapped = programs.compile(APGD_MAPPED, jax.pmap(auto_pgd), each_keys, replicated, each_x, each_y)
  peer = torchattacks.APGD(Twin(variables), eps=EPSILON, steps=APGD_STEPS)
  torch_x, torch_y = images_for_torch(x), torch.tensor(y.tolist())

  times = timing.take_turns(
    {
      APGD_OURS: lambda: ours(keys, variables, x, y).block_until_ready(),
      APGD_MAPPED: lambda: mapped(each_keys, replicated, each_x, each_y).block_until_ready(),
      APGD_PEER: lambda: peer.perturb(torch_x, torch_y, best_loss=True),
    }
  )
  return timing.report(
    "apgd",
    f"APGD-CE-{APGD_STEPS} (linf, best iterate) on Ross's network, {APGD_BATCH} images of "
    "28x28x1, float32.",
    times,
    compile_seconds=programs.seconds,
    ratios={
      "torchattacks' time / ours on one device": (APGD_PEER, APGD_OURS, "at least 1.3"),
      f"torchattacks' time / ours on {CORES} devices": (APGD_PEER, APGD_MAPPED, "at least 1.3"),
    },
    environment=environment(),
  )


def main() -> None:
  torch.set_num_threads(CORES)
  variables = models.init(MODULE, jax.random.key(0), (28, 28, 1))
  x = jax.random.uniform(jax.random.key(1), (BATCH, 28, 28, 1))
  print(time_pgd(variables, x))
  print(time_apgd(variables, x[:APGD_BATCH]))


if __name__ == "__main__":
  main()
