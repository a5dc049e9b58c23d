"""FAB-T on Ross's network, beside torchattacks.

  python benchmarks/minimal_norm.py       # writes benchmarks/results/minimal_norm.{json,md}

linf, 20 steps towards each of 9 targets, 32 images of 28x28, on as many host devices as there are
cores; in PyTorch the same weights and as many threads. Beside it DeepFool and FMN, which
torchattacks does not have in this form.
"""

import os

CORES = os.cpu_count() or 1
os.environ["XLA_FLAGS"] = (
  f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={CORES}"
)
if os.getloadavg()[0] > CORES:
  # On a busy machine PyTorch's threads are several times faster if they sleep while they wait.
  os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from collections.abc import Callable  # noqa: E402
from functools import partial  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import timing  # noqa: E402
import torch  # noqa: E402
import torchattacks  # noqa: E402
from jax import Array  # noqa: E402
from torch_twin import Twin, Variables, images_for_torch  # noqa: E402

from robust_saliency import models  # noqa: E402
from robust_saliency.attacks import deepfool, fab, fmn  # noqa: E402
from robust_saliency.core import example_keys  # noqa: E402

BATCH = 32
STEPS = 20
TARGETS = 9
# So near that no target breaks an image: torchattacks leaves out those that are broken.
NOWHERE = 1e-6

OURS = f"robust_saliency: FAB-T, jax.pmap over {CORES} devices"
ONE = "robust_saliency: FAB-T, one device"
DEEPFOOL = f"robust_saliency: DeepFool in l2, jax.pmap over {CORES} devices"
FMN = f"robust_saliency: FMN-100, jax.pmap over {CORES} devices"
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

  split = jax.tree.map(lambda a: a.reshape(CORES, -1, *a.shape[1:]), (keys, x, y))
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

  torch.set_num_threads(CORES)
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
      environment=timing.environment("jax", "torch", "torchattacks")
      | {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "active")},
    )
  )


if __name__ == "__main__":
  main()
