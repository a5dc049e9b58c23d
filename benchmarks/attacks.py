"""PGD-10 on Ross's network, beside torchattacks and beside ten separate input gradients.

  python benchmarks/attacks.py            # writes benchmarks/results/attacks.{json,md}

linf, random start, last iterate; 128 images of 28x28, on as many host devices as there are cores;
in PyTorch the same weights and as many threads.
"""

import os

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
from robust_saliency.attacks import cross_entropy, pgd  # noqa: E402
from robust_saliency.core import example_keys, full_precision  # noqa: E402

BATCH = 128
STEPS = 10
EPSILON = 0.2
STEP_SIZE = 0.05

OURS = f"robust_saliency: PGD-10, jax.pmap over {CORES} devices"
PEER = "torchattacks: PGD-10"
GRADIENTS = "ten calls of a jitted input gradient, one device"
MAPPED_GRADIENTS = f"ten calls of a pmapped input gradient, {CORES} devices"

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


@full_precision
def input_gradient(variables: Variables, x: Array, y: Array) -> Array:
  logits_fn = models.logits_fn(MODULE, variables)
  return jax.grad(lambda x: jnp.sum(cross_entropy(logits_fn(x), y)))(x)


def main() -> None:
  variables = models.init(MODULE, jax.random.key(0), (28, 28, 1))
  x = jax.random.uniform(jax.random.key(1), (BATCH, 28, 28, 1))
  y = jax.random.randint(jax.random.key(2), (BATCH,), 0, 10)
  keys = example_keys(jax.random.key(3), BATCH)

  split = jax.tree.map(lambda a: a.reshape(CORES, -1, *a.shape[1:]), (keys, x, y))
  each_keys, each_x, each_y = jax.pmap(lambda part: part)(split)
  replicated = jax.pmap(lambda _, tree: tree, in_axes=(0, None))(each_y, variables)

  compile_seconds = {}

  def compiled(name: str, function: jax.stages.Wrapped, *arguments: object) -> jax.stages.Compiled:
    program: list[jax.stages.Compiled] = []
    compile_seconds[name] = timing.seconds(
      lambda: program.append(function.lower(*arguments).compile())
    )
    return program[0]

  ours = compiled(OURS, jax.pmap(attack), each_keys, replicated, each_x, each_y)
  slope = compiled(GRADIENTS, jax.jit(input_gradient), variables, x, y)
  mapped = compiled(MAPPED_GRADIENTS, jax.pmap(input_gradient), replicated, each_x, each_y)

  torch.set_num_threads(CORES)
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
  print(
    timing.report(
      "attacks",
      f"PGD-{STEPS} (linf, last iterate) on Ross's network, {BATCH} images of 28x28x1, float32.",
      times,
      compile_seconds=compile_seconds,
      ratios={
        "torchattacks' time / ours": (PEER, OURS, "at least 1.3"),
        "our time / ten jitted gradients": (OURS, GRADIENTS, "at most 1.3"),
        "our time / ten pmapped gradients": (OURS, MAPPED_GRADIENTS, "at most 1.3"),
      },
      environment=timing.environment("jax", "torch", "torchattacks")
      | {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "active")},
    )
  )


if __name__ == "__main__":
  main()
