"""FAB-T on Ross's network, beside torchattacks.

  python benchmarks/minimal_norm.py       # writes benchmarks/results/minimal_norm.{json,md}

linf, 20 steps towards each of 9 targets, 32 images of 28x28, on the host devices that training
gets; in PyTorch the same weights and a thread per core. Beside it DeepFool and FMN, which
torchattacks does not have in this form.
"""

import machine  # before all others

# isort: split
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import timing
import torch
import torchattacks
from jax import Array
from torch_twin import Twin, Variables, images_for_torch

from robust_saliency import models
from robust_saliency.attacks import deepfool, fab, fmn
from robust_saliency.core import example_keys

BATCH = 32
STEPS = 20
TARGETS = 9
# So near that no target breaks an image: torchattacks leaves out those that are broken.
NOWHERE = 1e-6

OURS = f"robust_saliency: FAB-T, jax.pmap over {machine.DEVICES} devices"
ONE = "robust_saliency: FAB-T, one device"
DEEPFOOL = f"robust_saliency: DeepFool in l2, jax.pmap over {machine.DEVICES} devices"
FMN = f"robust_saliency: FMN-100, jax.pmap over {machine.DEVICES} devices"
PEER = "torchattacks: FAB-T"

MODULE = models.build("ross")
ATTACKS: dict[str, Callable[..., Array]] = {
  OURS: partial(fab, steps=STEPS, targets=TARGETS),
  DEEPFOOL: deepfool,
  FMN: partial(fmn, steps=100),
}


def run(
  attack: Callable[..., Array], keys: Array, variables: Variables, x: Array, y: Array
) -> Array:
  return attack(keys, models.logits_fn(MODULE, variables), x, y)


def main() -> None:
  variables = models.init(MODULE, jax.random.key(0), (28, 28, 1))
  x = jax.random.uniform(jax.random.key(1), (BATCH, 28, 28, 1))
  # What the network says itself: misclassified images would be left alone.
  y = jnp.argmax(models.logits_fn(MODULE, variables)(x), axis=-1)
  keys = example_keys(jax.random.key(3), BATCH)

  split = jax.tree.map(lambda a: a.reshape(machine.DEVICES, -1, *a.shape[1:]), (keys, x, y))
  each_keys, each_x, each_y = jax.pmap(lambda part: part)(split)
  replicated = jax.pmap(lambda _, tree: tree, in_axes=(0, None))(each_y, variables)

  compile_seconds: dict[str, float] = {}
  contestants: dict[str, Callable[[], object]] = {}

  def enter(name: str, function: jax.stages.Wrapped, *arguments: object) -> None:
    program: list[jax.stages.Compiled] = []
    compile_seconds[name] = timing.seconds(
      lambda: program.append(function.lower(*arguments).compile())
    )
    contestants[name] = lambda: program[0](*arguments).block_until_ready()

  for name, attack in ATTACKS.items():
    enter(name, jax.pmap(partial(run, attack)), each_keys, replicated, each_x, each_y)
  enter(ONE, jax.jit(partial(run, ATTACKS[OURS])), keys, variables, x, y)

  torch.set_num_threads(machine.CORES)
  peer = torchattacks.FAB(Twin(variables), eps=NOWHERE, steps=STEPS, multi_targeted=True)
  torch_x, torch_y = images_for_torch(x), torch.tensor(y.tolist())
  contestants[PEER] = lambda: peer(torch_x, torch_y)

  times = timing.take_turns(contestants, repeats=3, warm_up=1)
  print(
    timing.report(
      "minimal_norm",
      f"Minimal-norm attacks on Ross's network, {BATCH} images of 28x28x1, float32; FAB-T in linf, "
      f"{STEPS} steps towards each of {TARGETS} targets.",
      times,
      compile_seconds=compile_seconds,
      ratios={
        "torchattacks' time / ours": (PEER, OURS, "at least 1"),
        "torchattacks' time / ours, one device": (PEER, ONE, "at least 1"),
      },
      environment=machine.environment("jax", "torch", "torchattacks"),
    )
  )


if __name__ == "__main__":
  main()
