"""What a paper's training steps cost on this machine, before minutes of it are spent on them.

  PYTHONPATH=.gpu/site python3 -m gpu.measure ross2018      # a minute or two of an accelerator

First how exactly matrices are multiplied in training: TF32 is off by some 3e-4, float32 by 1e-7.
Then for each network of the first phase: floating-point operations of a step, operations that the
compiled step launches, milliseconds a step in calls as long as those of the run, what follows for
its whole training, and whether two seeds of it are faster as one program (`training/trial.py`).
"""

import argparse
import dataclasses
import re
import sys
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gpu.orders import ORDERS
from gpu.phase_config import ROOT, config_of
from robust_saliency import command_line
from robust_saliency.pipeline.plan import Plan
from robust_saliency.training import Network, map_over_devices, one_program_is_faster, replicate
from robust_saliency.training.step import AXIS
from robust_saliency.training.targets import MAPS, empty_targets, needed

# What XLA launches on a GPU: all else is inside of these, or moves nothing.
_LAUNCHED = re.compile(r" = .*? (?:fusion|custom-call|copy|sort|scatter|all-reduce)\(")


def launches(program: str) -> int:
  r"""How many operations a compiled program launches, those of a loop's body once.

  Args:
    program: its text, of a GPU; that of another platform is told otherwise.

  >>> launches("%y = f32[4]{0} fusion(%x), calls=%f\n%z = f32[4]{0} bitcast(%y)")
  1
  """
  return sum(_LAUNCHED.search(line) is not None for line in program.splitlines())


def cost_of(network: Network, data: dict[str, Any], maps: dict[str, Any]) -> dict[str, float]:
  """FLOPs and launches of a step, and seconds that one takes and that its program is compiled for.

  Args:
    network: of a phase.
    data: the resident data that its step sees.
    maps: those of the data that are maps of the training images.
  """
  per_call = network.recipe.steps_per_call or 1
  step = network.trainer.step(network.recipe.objective)
  member = network.as_member(0, "measured", maps=maps)
  state, resident = replicate(member.state), replicate(data)
  indices = np.stack([member.indices(number) for number in range(per_call)], axis=1)
  # As on a GPU, on any machine: on CPU some convolutions are loops, which are counted once.
  single = jax.jit(jax.vmap(step, in_axes=(None, None, 0), axis_name=AXIS))
  batch = member.indices(0).reshape(1, -1)
  lowered = single.trace(member.state, data, batch).lower(lowering_platforms=("cuda",))
  mapped: Any = map_over_devices(step, steps_per_call=per_call)
  began = time.monotonic()
  compiled = mapped.lower(state, resident, indices).compile()
  state, _ = mapped(state, resident, indices)
  jax.block_until_ready(state)
  compiling, began = time.monotonic() - began, time.monotonic()
  state, _ = mapped(state, resident, indices)
  jax.block_until_ready(state)
  return {
    "flops": lowered.cost_analysis()["flops"],
    "launches": launches(compiled.as_text()),
    "seconds": (time.monotonic() - began) / per_call,
    "compiling": compiling,
  }


def error_of_products() -> float:
  """Relative error of a matrix product as training takes it, against float64 on the host."""
  a, b = np.random.default_rng(0).normal(size=(2, 512, 512)).astype(np.float32)
  exact = a.astype(np.float64) @ b
  found = np.asarray(jnp.asarray(a) @ jnp.asarray(b))
  return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def main(arguments: Sequence[str]) -> None:
  """Prints a line for each network."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument("paper", choices=ORDERS)
  parser.add_argument("--no-trial", dest="trial", action="store_false", help="leaves it out")
  given = parser.parse_args(arguments)
  command_line.use_all_cores()
  order = ORDERS[given.paper]
  config = config_of(order, order.phases[0])
  plan = Plan(config, folder=(ROOT / order.config.split(":")[0]).parent, networks_alone=True)
  kind = jax.devices()[0].device_kind
  print(f"{jax.device_count()} x {kind}; products off by {error_of_products():.1g}")
  total = 0.0
  for name, planned in plan.networks.items():
    # What a probe measures needs trained networks.
    recipe = dataclasses.replace(planned.recipe, probe=None)
    network = Network(name, recipe, plan.dataset)
    empty = empty_targets(recipe, plan.dataset)
    maps = {name: empty[name] for kind in MAPS for name in needed(recipe.objective, kind)}
    data = {"x": plan.dataset.train.x, "y": plan.dataset.train.y, **empty}
    cost = cost_of(network, data, maps)
    steps = recipe.total_steps(len(plan.dataset.train))
    whole = cost["compiling"] + steps * cost["seconds"]
    total += whole
    print(
      f"{name}: {cost['flops'] / 1e9:.1f} GFLOP and {cost['launches']:.0f} launches a step, "
      f"{1e3 * cost['seconds']:.3g} ms; compiled in {cost['compiling']:.0f} s; "
      f"{steps} steps would take {whole:.0f} s"
    )
    if given.trial:
      members = [network.as_member(seed, str(seed), maps=maps) for seed in (1, 2)]
      per_call = recipe.steps_per_call or 1
      faster = one_program_is_faster(
        network.step_of_weights, members, data, steps_per_call=per_call
      )
      print(f"  two seeds are faster {'as one program' if faster else 'one after the other'}")
  print(f"all of one seed: {total:.0f} s")


if __name__ == "__main__":
  main(sys.argv[1:])
