"""Training steps on one host device and on two, and the memory that a data set takes on many.

  python benchmarks/host_devices.py     # adds the running jax to benchmarks/results/host_devices.md

The steps are those of step_costs.py: Ross's network on 128 images of 28x28x1 with Adam. A process
for each number of devices, which take turns step by step. The memory is that of a process that
copies MNIST's 60,000 training images to each device as training does, less that of one before.
"""

import machine  # before all others

# isort: split
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable

import jax
import numpy as np
import timing
from training_steps import BATCH, OBJECTIVES, our_step

from robust_saliency import models
from robust_saliency.training import replicate

COUNTS = (1, 2)
# One per core of a large machine, and what command_line.host_devices asks for there.
COPIED_TO = (1, 8, 64)
JSON = timing.RESULTS / "host_devices.json"


def serve_steps() -> None:
  """Takes one step for each name on standard input, and answers when it is done."""
  random = np.random.default_rng(0)
  x = random.integers(0, 256, (BATCH, 28, 28, 1)).astype(np.uint8)
  y = random.integers(0, 10, BATCH).astype(np.int32)
  variables = models.init(models.build("ross"), jax.random.key(0), (28, 28, 1))
  steps = {name: our_step(objective, variables, x, y) for name, objective in OBJECTIVES.items()}
  for line in sys.stdin:
    steps[line.strip()]()
    print("done", flush=True)


def print_memory() -> None:
  """Prints the most memory, in bytes, that copying a data set to every device takes."""
  x = np.random.default_rng(0).integers(0, 256, (60_000, 28, 28, 1), np.uint8)
  jax.block_until_ready(replicate(x[:1]))
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  copies = jax.block_until_ready(replicate(x))
  assert len(copies.addressable_shards) == jax.device_count()
  print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))


def start(role: str, devices: int) -> subprocess.Popen:
  flags = f"--xla_force_host_platform_device_count={devices}"
  return subprocess.Popen(
    [sys.executable, __file__, f"--role={role}"],
    env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  )


def asks(process: subprocess.Popen, name: str) -> Callable[[], None]:
  """A call that lets a process take one step."""

  def call() -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{name}\n")
    process.stdin.flush()
    if process.stdout.readline() != "done\n":
      raise RuntimeError(f"the process of the step {name!r} ended")

  return call


def milliseconds(repeats: int) -> dict[str, dict[str, list[float]]]:
  """Step -> number of devices -> milliseconds of each step."""
  processes = {count: start("steps", count) for count in COUNTS}
  times = timing.take_turns(
    {f"{name}/{n}": asks(processes[n], name) for name in OBJECTIVES for n in COUNTS},
    repeats=repeats,
  )
  for process in processes.values():
    process.communicate()
  return {
    name: {str(n): [1e3 * seconds for seconds in times[f"{name}/{n}"]] for n in COUNTS}
    for name in OBJECTIVES
  }


def markdown(found: dict[str, dict]) -> str:
  """The tables of every jax that was timed."""
  lines = [
    "# host_devices",
    "",
    f"One training step of Ross's network with Adam, {BATCH} images of 28x28x1, float32; median of "
    "the milliseconds (fastest to slowest).",
    "",
    "| jax | step | " + " | ".join(f"{n} host device{'s'[: n > 1]}" for n in COUNTS) + " |",
    "|---|---|" + "---|" * len(COUNTS),
  ]
  for version, row in found.items():
    for name, times in row["milliseconds"].items():
      cells = (f"{statistics.median(t):.0f} ({min(t):.0f} to {max(t):.0f})" for t in times.values())
      lines.append(f"| {version} | {name} | " + " | ".join(cells) + " |")
  lines += [
    "",
    "Memory that 60,000 images of 28x28x1 (47 MB) take, copied to every device, in MB.",
    "",
    "| jax | " + " | ".join(f"{n} host device{'s'[: n > 1]}" for n in COPIED_TO) + " |",
    "|---|" + "---|" * len(COPIED_TO),
  ]
  for version, row in found.items():
    cells = (f"{row['bytes'][str(n)] / 1e6:.0f}" for n in COPIED_TO)
    lines.append(f"| {version} | " + " | ".join(cells) + " |")
  lines += [""] + [
    f"jax {version}: " + "; ".join(f"{k} {v}" for k, v in row["environment"].items()) + "."
    for version, row in found.items()
  ]
  return "\n".join(lines) + "\n"


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument("--repeats", type=int, default=20)
  parser.add_argument(
    "--role", choices=["steps", "memory"], help="what a process does for this one"
  )
  arguments = parser.parse_args()
  if arguments.role:
    return serve_steps() if arguments.role == "steps" else print_memory()
  found = json.loads(JSON.read_text()) if JSON.exists() else {}
  found[jax.__version__] = {
    "milliseconds": milliseconds(arguments.repeats),
    "bytes": {str(n): int(start("memory", n).communicate()[0]) for n in COPIED_TO},
    "environment": machine.environment("jaxlib"),
  }
  JSON.write_text(json.dumps(found, indent=2) + "\n")
  JSON.with_suffix(".md").write_text(markdown(found))
  print(markdown(found))
  return None


if __name__ == "__main__":
  main()
