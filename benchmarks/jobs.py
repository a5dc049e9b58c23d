"""The demo's experiment by one process on all cores, and by one process per core.

  python benchmarks/jobs.py     # writes benchmarks/results/jobs.json and .md, half an hour

Whole commands in new folders, in turn, with what was compiled before at hand: the first of each,
which may compile, is not timed.
"""

import machine  # before all others

# isort: split
import argparse
import functools
import os
import subprocess
import sys
import tempfile

import timing


def run(jobs: int, config: str) -> None:
  with tempfile.TemporaryDirectory() as folder:
    command = [sys.executable, "-m", "robust_saliency.main", f"--config={config}", f"--jobs={jobs}"]
    # The number of devices that this process has been given is not theirs.
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    subprocess.run(
      [*command, f"--workdir={folder}/run"], env=environment, check=True, stdout=subprocess.DEVNULL
    )


def main() -> None:
  parser = argparse.ArgumentParser()
  parser.add_argument("--repeats", type=int, default=2)
  parser.add_argument("--config", default="digits")
  arguments = parser.parse_args()
  contestants = {
    name: functools.partial(run, jobs, arguments.config)
    for name, jobs in (("one process", 1), ("one per core", machine.CORES))
  }
  first = {name: timing.seconds(call) for name, call in contestants.items()}
  times = timing.take_turns(contestants, repeats=arguments.repeats, warm_up=0)
  print(
    timing.report(
      "jobs",
      f"The whole experiment `{arguments.config}`, from its command to its report.",
      times,
      compile_seconds=first,
      ratios={"one process / one per core": ("one process", "one per core", "at least 1.2")},
      environment=machine.environment("jax", "jaxlib"),
    )
  )


if __name__ == "__main__":
  main()
