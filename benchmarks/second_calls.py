"""First and second calls outside `jit`, the second with other weights: seconds, and what compiles.

  python benchmarks/second_calls.py --before=DIR    # writes benchmarks/results/second_calls.*

DIR is an older checkout; its package and this one are measured in new processes, turn by turn, with
nothing compiled before.
"""

import argparse
import functools
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
SETTINGS: dict[str, dict[str, Any]] = {
  "fgsm": {"epsilon": 0.1},
  "pgd": {"epsilon": 0.1, "steps": 40},
  "apgd": {"epsilon": 0.1, "steps": 20},
  "fab": {"epsilon": 0.1, "steps": 10},
  "square": {"epsilon": 0.1, "queries": 50},
  "gradient": {},
  "smoothgrad": {"samples": 25},
  "integrated_gradients": {"steps": 20},
  "lime": {"samples": 490},
  "rise": {"samples": 100},
  "lrp": {},
}


def measure() -> dict[str, list[tuple[float, int]]]:
  """Name -> (seconds, programs that XLA compiled) of two calls, of 16 images and two networks."""
  import jax
  import jax.numpy as jnp
  from jax import monitoring

  from robust_saliency import attacks, attributions, models

  warnings.simplefilter("ignore")
  compiled: list[float] = []

  def listen(event: str, duration_secs: float, **_: str | int) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
      compiled.append(duration_secs)

  monitoring.register_event_duration_secs_listener(listen)
  module = models.build("digits")
  x = jax.random.uniform(jax.random.key(0), (16, 8, 8, 1))
  y = jnp.arange(16) % 10
  networks: list[Callable] = [
    models.logits_fn(module, models.init(module, jax.random.key(seed), x.shape[1:]))
    for seed in range(2)
  ]
  jax.block_until_ready([network(x) for network in networks])
  found: dict[str, list[tuple[float, int]]] = {}
  for name, settings in SETTINGS.items():
    function = {**attacks.ATTACKS, **attributions.ATTRIBUTIONS}[name]
    for network in networks:
      before, began = len(compiled), time.perf_counter()
      call = functools.partial(function, jax.random.key(0), **settings)
      jax.block_until_ready(call(lambda images, network=network: network(images), x, y))
      seconds = time.perf_counter() - began
      found.setdefault(name, []).append((seconds, len(compiled) - before))
  return found


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--measure", action="store_true", help="print one process's numbers")
  parser.add_argument("--before", type=Path, help="an older checkout")
  parser.add_argument("--repeats", type=int, default=3)
  options = parser.parse_args()
  if options.measure:
    print(json.dumps(measure()))
    return
  import machine
  import timing

  packages = {"before": options.before.resolve(), "now": HERE} if options.before else {"now": HERE}
  times: dict[str, list[float]] = {}
  programs: dict[str, int] = {}
  for _ in range(options.repeats):
    for when, package in packages.items():
      for name, calls in timing.in_a_new_process(__file__, "--measure", package=package).items():
        for call, (seconds, count) in zip(("first", "second"), calls, strict=True):
          times.setdefault(f"{name}, {call} call, {when}", []).append(seconds)
          programs[f"{name}, {call} call, {when}"] = count
  ratios = {}
  if options.before:
    for name in SETTINGS:
      for call, target in (("first", ""), ("second", "< 1")):
        label = f"{name}, {call} call, now / before"
        ratios[label] = (f"{name}, {call} call, now", f"{name}, {call} call, before", target)
  second = {name: count for name, count in programs.items() if "second" in name}
  print(
    timing.report(
      "second_calls",
      "A call outside jit and a second one with other weights, 16 images of 8x8, one device. "
      f"Programs compiled in the second: {second}.",
      dict(sorted(times.items())),
      compile_seconds={},
      ratios=ratios,
      environment=machine.environment("jax", "jaxlib"),
    )
  )


if __name__ == "__main__":
  main()
