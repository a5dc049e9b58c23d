"""What the host does beside the networks' own work: orders, metrics, and compiling anew.

  python benchmarks/overheads.py --before=DIR    # writes benchmarks/results/overheads.{json,md}

DIR is an older checkout; its package and this one are measured turn by turn, in new processes.
"""

import machine  # before all others

# isort: split
import argparse
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import timing
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from robust_saliency import attacks, models
from robust_saliency.training import batch_indices, loop, recent

HERE = Path(__file__).resolve().parents[1]
MEMBERS, METRICS, STEPS = 38, 4, 50


def order(examples: int) -> float:
  """Seconds of the indices of 100 steps in one epoch."""

  def call() -> None:
    for step in range(100):
      batch_indices(step, examples=examples, batch_size=128, devices=2, seed=0)

  return min(timing.take_turns({"": call}, repeats=5)[""])


def metrics() -> float:
  """Seconds of reading one row, the means over 50 steps of 38 networks' 4 metrics."""
  mesh = Mesh(np.asarray(jax.local_devices()), ("device",))
  names = [f"metric {i}" for i in range(METRICS)]
  networks = [f"network {i}" for i in range(MEMBERS)]
  # An older checkout's, too.
  means: Callable[..., Any] = getattr(loop, "_means", _means)
  as_arrays = hasattr(loop, "SEPARATOR") or hasattr(loop, "Rows")
  row: dict = {name: np.ones(MEMBERS, np.float32) for name in names}
  if not as_arrays:
    row = {f"{one}/{name}": np.float32(1) for one in networks for name in names}
  replicated = NamedSharding(mesh, PartitionSpec())

  def once() -> float:
    # New arrays, since one keeps the copy that it has been asked for.
    steps = [jax.block_until_ready(jax.device_put(row, replicated)) for _ in range(STEPS)]
    began = time.perf_counter()
    means(steps, networks) if as_arrays else means(steps)
    return time.perf_counter() - began

  return min(once() for _ in range(5))


def _means(steps: list[dict], networks: list[str]) -> dict[str, dict[str, float]]:
  return recent.means_of(recent.Recent(steps).take(len(steps)), networks)


def evaluation() -> tuple[float, float]:
  """Seconds of evaluating a network of 8x8 pixels, and a second one of its architecture."""
  module = models.build("digits")
  x = np.random.default_rng(0).uniform(size=(40, 8, 8, 1)).astype(np.float32)
  variables = models.init(module, jax.random.key(0), (8, 8, 1))
  ensemble = attacks.autoattack_members(10, epsilon=0.01, steps=10, queries=20)
  chosen: dict[str, Any] = {
    "fgsm": functools.partial(attacks.fgsm, epsilon=0.01),
    "pgd": functools.partial(attacks.pgd, epsilon=0.01, steps=10),
    "autoattack": ensemble,
  }
  seconds = []
  for _ in range(2):
    network = models.logits_fn(module, variables)
    y = np.argmax(network(jnp.asarray(x)), axis=1)
    began = time.perf_counter()
    attacks.evaluate_attacks(
      jax.random.key(0), network, x, y, attacks=chosen, epsilon=0.01, batch_size=20, probed=20
    )
    seconds.append(time.perf_counter() - began)
    # Another network, of which as many examples are left after each attack.
    variables = jax.tree.map(lambda leaf: 1.0001 * leaf, variables)
  return seconds[0], seconds[1]


def measure() -> dict[str, float]:
  first, second = evaluation()
  return {
    "100 calls of batch_indices, 60,000 examples": order(60_000),
    "100 calls of batch_indices, 200,000 examples": order(200_000),
    f"a row of {MEMBERS} networks' metrics, {STEPS} steps": metrics(),
    "evaluate_attacks, first network": first,
    "evaluate_attacks, second network of its architecture": second,
  }


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--measure", action="store_true", help="print one process's numbers")
  parser.add_argument("--before", type=Path, help="an older checkout")
  parser.add_argument("--repeats", type=int, default=3)
  options = parser.parse_args()
  if options.measure:
    print(json.dumps(measure()))
    return
  packages = {"before": options.before.resolve(), "now": HERE} if options.before else {"now": HERE}
  times: dict[str, list[float]] = {}
  for _ in range(options.repeats):
    for when, package in packages.items():
      for what, seconds in timing.in_a_new_process(__file__, "--measure", package=package).items():
        times.setdefault(f"{what}, {when}", []).append(seconds)
  whats = list(dict.fromkeys(name.rsplit(", ", 1)[0] for name in times))
  table = timing.report(
    "overheads",
    "What the host does beside the networks' own work; each process anew, turn by turn.",
    {f"{what}, {when}": times[f"{what}, {when}"] for what in whats for when in packages},
    compile_seconds={},
    ratios={what: (f"{what}, before", f"{what}, now", "> 1") for what in whats}
    if options.before
    else {},
    environment=machine.environment("jax", "jaxlib", "numpy"),
  )
  print(table)


if __name__ == "__main__":
  main()
