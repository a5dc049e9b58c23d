"""PGD-10, Auto-PGD-100 and AutoAttack on Ross's network, beside torchattacks.

  python benchmarks/attacks.py      # writes benchmarks/results/{pgd_linf,pgd_l2,apgd,autoattack}.*

28x28 images, on the host devices that training gets; in PyTorch the same weights and a thread per
core. PGD: random start, last iterate, 128 images, beside ten separate input gradients too.
Auto-PGD: cross-entropy in linf, 32 images, best iterate, on one device as well. AutoAttack: the
standard version in linf, 32 images, at a radius where no image breaks, so that every attack takes
all of its steps; compiling apart. `python benchmarks/attacks.py pgd_l2 apgd` runs those alone. On a
GPU (`make bench-gpu`) with 1,000, 512 and 256 images, all in float32.
"""

import machine  # before all others

# isort: split
import functools
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import timing
import torch_autoattack
import torchattacks
from jax import Array
from torch_twin import Twin, Variables, classes_for_torch, images_for_torch

from robust_saliency import models
from robust_saliency.attacks import (
  apgd,
  autoattack_members,
  cross_entropy,
  pgd,
  run_attacks,
)
from robust_saliency.core import example_keys, full_precision

BATCH = machine.size(128, on_gpu=1000)
STEPS = 10
EPSILON = 0.2
BALLS = {"linf": (EPSILON, 0.05), "l2": (1.5, 0.4)}  # radius and step size of PGD
APGD_BATCH = machine.size(32, on_gpu=512)
APGD_STEPS = 100
AUTOATTACK_EPSILON = 1e-4
AUTOATTACK_IMAGES = machine.size(32, on_gpu=256)
AUTOATTACK_REPEATS = machine.size(2, on_gpu=1)

OURS = f"robust_saliency: PGD-10, jax.pmap over {machine.DEVICES} devices"
PEER = "torchattacks: PGD-10"
GRADIENTS = "ten calls of a jitted input gradient, one device"
MAPPED_GRADIENTS = f"ten calls of a pmapped input gradient, {machine.DEVICES} devices"
APGD_OURS = "robust_saliency: APGD-CE-100, one device"
APGD_MAPPED = f"robust_saliency: APGD-CE-100, jax.pmap over {machine.DEVICES} devices"
APGD_PEER = "torchattacks: APGD-CE-100"
AUTOATTACK_OURS = f"robust_saliency: AutoAttack, {machine.DEVICES} devices"
AUTOATTACK_PEER = "torchattacks: AutoAttack's four attacks"

MODULE = models.build("ross")


def attack(keys: Array, variables: Variables, x: Array, y: Array, *, norm: str) -> Array:
  logits_fn = models.logits_fn(MODULE, variables)
  epsilon, step_size = BALLS[norm]
  return pgd(
    keys,
    logits_fn,
    x,
    y,
    norm=norm,
    epsilon=epsilon,
    step_size=step_size,
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
  parts = jax.tree.map(lambda a: a.reshape(machine.DEVICES, -1, *a.shape[1:]), arrays)
  return jax.pmap(lambda part: part)(parts)


def replicate(variables: Variables) -> Variables:
  return jax.pmap(lambda _, tree: tree, in_axes=(0, None))(jnp.zeros(machine.DEVICES), variables)


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


def time_pgd(variables: Variables, x: Array, norm: str) -> str:
  y = jax.random.randint(jax.random.key(2), (BATCH,), 0, 10)
  keys = example_keys(jax.random.key(3), BATCH)
  each_keys, each_x, each_y = split_over_devices(keys, x, y)
  replicated = replicate(variables)

  programs = Programs()
  in_norm = jax.pmap(functools.partial(attack, norm=norm))
  ours = programs.compile(OURS, in_norm, each_keys, replicated, each_x, each_y)
  slope = programs.compile(GRADIENTS, jax.jit(input_gradient), variables, x, y)
  mapped = programs.compile(MAPPED_GRADIENTS, jax.pmap(input_gradient), replicated, each_x, each_y)
  make_peer = torchattacks.PGD if norm == "linf" else torchattacks.PGDL2
  epsilon, step_size = BALLS[norm]
  peer = make_peer(Twin(variables), eps=epsilon, alpha=step_size, steps=STEPS)
  torch_x, torch_y = images_for_torch(x), classes_for_torch(y)

  def ten_gradients() -> None:
    for _ in range(STEPS):
      slope(variables, x, y).block_until_ready()

  def ten_mapped_gradients() -> None:
    for _ in range(STEPS):
      mapped(replicated, each_x, each_y).block_until_ready()

  def their_pgd() -> None:
    peer(torch_x, torch_y)
    machine.wait_for_torch()

  times = timing.take_turns(
    {
      OURS: lambda: ours(each_keys, replicated, each_x, each_y).block_until_ready(),
      PEER: their_pgd,
      GRADIENTS: ten_gradients,
      MAPPED_GRADIENTS: ten_mapped_gradients,
    }
  )
  return timing.report(
    machine.result(f"pgd_{norm}"),
    f"PGD-{STEPS} ({norm}, last iterate) on Ross's network, {BATCH} images of 28x28x1, float32.",
    times,
    compile_seconds=programs.seconds,
    ratios={
      "torchattacks' time / ours": (PEER, OURS, "at least 1.3"),
      "our time / ten jitted gradients": (OURS, GRADIENTS, "at most 1.3"),
      "our time / ten pmapped gradients": (OURS, MAPPED_GRADIENTS, "at most 1.3"),
    },
    environment=machine.environment("jax", "torch", "torchattacks"),
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
  torch_x, torch_y = images_for_torch(x), classes_for_torch(y)

  def their_apgd() -> None:
    peer.perturb(torch_x, torch_y, best_loss=True)
    machine.wait_for_torch()

  times = timing.take_turns(
    {
      APGD_OURS: lambda: ours(keys, variables, x, y).block_until_ready(),
      APGD_MAPPED: lambda: mapped(each_keys, replicated, each_x, each_y).block_until_ready(),
      APGD_PEER: their_apgd,
    }
  )
  return timing.report(
    machine.result("apgd"),
    f"APGD-CE-{APGD_STEPS} (linf, best iterate) on Ross's network, {APGD_BATCH} images of "
    "28x28x1, float32.",
    times,
    compile_seconds=programs.seconds,
    ratios={
      "torchattacks' time / ours on one device": (APGD_PEER, APGD_OURS, "at least 1.3"),
      f"torchattacks' time / ours on {machine.DEVICES} devices": (
        APGD_PEER,
        APGD_MAPPED,
        "at least 1.3",
      ),
    },
    environment=machine.environment("jax", "torch", "torchattacks"),
  )


def time_autoattack(variables: Variables, x: Array) -> str:
  logits_fn = models.logits_fn(MODULE, variables)
  two_best = jnp.sort(logits_fn(x), axis=-1)[:, -2:]
  # Those that are hardest to break: one that breaks is spared the later attacks.
  x = x[jnp.argsort(two_best[:, 0] - two_best[:, 1])[:AUTOATTACK_IMAGES]]
  y = np.asarray(jnp.argmax(logits_fn(x), axis=-1))
  members = autoattack_members(10, epsilon=AUTOATTACK_EPSILON)
  images, twin = np.asarray(x), Twin(variables)
  times: dict[str, list[float]] = {AUTOATTACK_OURS: [], AUTOATTACK_PEER: []}
  compile_seconds = {}
  for seed in range(AUTOATTACK_REPEATS):
    verdicts = run_attacks(
      jax.random.key(seed),
      logits_fn,
      images,
      y,
      attacks=members,
      epsilon=AUTOATTACK_EPSILON,
      batch_size=len(images),
    )
    assert verdicts.robust.all(), "an image broke: the attacks' budgets are no longer equal"
    times[AUTOATTACK_OURS].append(float(verdicts.seconds.sum()))
    compile_seconds[AUTOATTACK_OURS] = float(verdicts.compile_seconds.sum())
    times[AUTOATTACK_PEER].append(
      timing.seconds(
        functools.partial(
          torch_autoattack.robust,
          twin,
          images,
          y,
          norm="linf",
          epsilon=AUTOATTACK_EPSILON,
          seed=seed,
        )
      )
    )
  return timing.report(
    machine.result("autoattack"),
    f"AutoAttack, standard version (linf), on Ross's network, {len(images)} images of 28x28x1 that "
    "all robust to it, float32.",
    times,
    compile_seconds=compile_seconds,
    ratios={"torchattacks' time / ours": (AUTOATTACK_PEER, AUTOATTACK_OURS, "at least 1.3")},
    environment=machine.environment("jax", "torch", "torchattacks"),
  )


def main() -> None:
  machine.prepare_torch(tf32=False)
  variables = models.init(MODULE, jax.random.key(0), (28, 28, 1))
  x = jax.random.uniform(jax.random.key(1), (BATCH, 28, 28, 1))
  benchmarks: dict[str, Callable[[], str]] = {
    "pgd_linf": lambda: time_pgd(variables, x, "linf"),
    "pgd_l2": lambda: time_pgd(variables, x, "l2"),
    "apgd": lambda: time_apgd(variables, x[:APGD_BATCH]),
    "autoattack": lambda: time_autoattack(variables, x),
  }
  for name in sys.argv[1:] or benchmarks:
    print(benchmarks[name]())


if __name__ == "__main__":
  main()
