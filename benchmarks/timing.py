"""Timing of several contestants in one run, turn by turn, so that noise meets all alike."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def seconds(call: Callable[[], Any]) -> float:
  """Wall time of one call, which must not return before its work is done."""
  start = time.perf_counter()
  call()
  return time.perf_counter() - start


def in_a_new_process(script: str, *arguments: str, package: Path | None = None) -> Any:
  """What a script prints last, as JSON, in a process for which nothing is compiled before.

  Args:
    script: its file.
    *arguments: of its command line.
    package: the checkout whose package it imports; None for the one that is installed.
  """
  environment = {**os.environ}
  environment.pop("JAX_COMPILATION_CACHE_DIR", None)
  if package is not None:
    environment["PYTHONPATH"] = str(package)
  output = subprocess.run(
    [sys.executable, script, *arguments], env=environment, check=True, stdout=subprocess.PIPE
  ).stdout
  return json.loads(output.splitlines()[-1])


def take_turns(
  contestants: Mapping[str, Callable[[], Any]], *, repeats: int = 10, warm_up: int = 2
) -> dict[str, list[float]]:
  """Times every contestant `repeats` times, in the order A B C A B C ...

  Args:
    contestants: name -> a call that waits for its result; the first one, in which it may compile,
      is not part of its times.
    repeats: timed calls of each.
    warm_up: untimed calls of each before.

  Returns:
    Name -> seconds of its timed calls.
  """
  for _ in range(warm_up):
    for call in contestants.values():
      call()
  times: dict[str, list[float]] = {name: [] for name in contestants}
  for _ in range(repeats):
    for name, call in contestants.items():
      times[name].append(seconds(call))
  return times


def report(
  name: str,
  what: str,
  times: Mapping[str, list[float]],
  *,
  compile_seconds: Mapping[str, float],
  ratios: Mapping[str, tuple[str, str, str]],
  environment: Mapping[str, Any],
) -> str:
  """Writes `results/<name>.json` and `.md`, and returns the table.

  Args:
    name: of the files.
    what: what was timed, in a sentence.
    times: contestant -> seconds of each call.
    compile_seconds: contestant -> seconds of its first call or compilation.
    ratios: sentence -> (contestant above, contestant below, target in words).
    environment: versions and machine.
  """
  medians = {contestant: statistics.median(values) for contestant, values in times.items()}
  rows = [
    f"| {contestant} | {1e3 * medians[contestant]:.0f} | {1e3 * min(values):.0f} "
    f"| {1e3 * max(values):.0f} | "
    + (f"{compile_seconds[contestant]:.1f}" if contestant in compile_seconds else "")
    + " |"
    for contestant, values in times.items()
  ]
  measured = {
    sentence: medians[above] / medians[below] for sentence, (above, below, _) in ratios.items()
  }
  lines = [
    what,
    "",
    f"| | median, ms (of {len(next(iter(times.values())))}) | fastest | slowest | compile, s |",
    "|---|---|---|---|---|",
    *rows,
    "",
    "| | measured | target |",
    "|---|---|---|",
    *(f"| {s} | {value:.2f} | {ratios[s][2]} |" for s, value in measured.items()),
    "",
    "; ".join(f"{key} {value}" for key, value in environment.items()) + ".",
  ]
  table = "\n".join(lines) + "\n"
  RESULTS.mkdir(exist_ok=True)
  (RESULTS / f"{name}.md").write_text(f"# {name}\n\n{table}")
  content = {
    "what": what,
    "environment": dict(environment),
    "seconds": dict(times),
    "median_seconds": medians,
    "compile_seconds": dict(compile_seconds),
    "ratios": {s: {"measured": value, "target": ratios[s][2]} for s, value in measured.items()},
  }
  (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
  return table
