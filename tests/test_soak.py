"""A run that is killed again and again ends with the numbers of one that never was."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from robust_saliency.pipeline import read_networks

CONFIG = Path(__file__).with_name("soak_config.py")


def start(folder, steps):
  """Starts the experiment in `folder`/run, on two host devices."""
  folder.mkdir(exist_ok=True)
  environment = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2",
  }
  command = ["-m", "robust_saliency.main", f"--config={CONFIG}:{steps}", "--workdir=run"]
  with (folder / "errors.txt").open("a") as errors:
    return subprocess.Popen(
      [sys.executable, *command],
      env=environment,
      cwd=folder,
      stdout=subprocess.DEVNULL,
      stderr=errors,
    )


def wait_until_it_works(process, folder):
  lock = folder / "run" / ".lock"
  while process.poll() is None:
    if lock.exists() and lock.read_text().startswith(f"{process.pid} "):
      return
    time.sleep(0.02)


def finish(folder, steps):
  """Runs the experiment to its end; returns the seconds of its work, its imports apart."""
  process = start(folder, steps)
  wait_until_it_works(process, folder)
  began = time.monotonic()
  assert process.wait(timeout=600) == 0, (folder / "errors.txt").read_text()
  return time.monotonic() - began


def numbers(folder):
  """The variables of every network, and the arrays of every study."""
  networks = {
    f"{name}, seed {network.seed}": network.variables
    for name, per_seed in read_networks(folder / "run")[1].items()
    for network in per_seed
  }
  found = (folder / "run" / "studies").glob("*/result.npz")
  studies = {path.parent.name: dict(np.load(path)) for path in found}
  maps = {path.name: np.load(path) for path in (folder / "run").glob("studies/maps/kept/*/*.npy")}
  assert studies
  assert len(maps) == 2
  return jax.tree.map(np.asarray, {"networks": networks, "studies": studies, "maps": maps})


def texts(folder):
  """The report and its tables, without times and dates."""
  run = folder / "run"
  pages = {
    p.relative_to(run): p.read_text()
    for p in [run / "report.html", *(run / "data").glob("*"), *run.rglob("metrics.csv")]
    if p.suffix in (".html", ".json", ".csv", ".md")
  }
  for path, page in pages.items():
    page = re.sub(r"\d{4}-\d\d-\d\dT[\d:+]+", "DATE", page)
    page = re.sub(r"[\d.]+ (s|min( \d+ s)?)\b", "TIME", page)
    pages[path] = re.sub(r'("(?:training|study \w+)": )[\d.]+', r"\1TIME", page)
  return pages


def run_with_kills(tmp_path, *, kills, steps, seed):
  whole, killed = tmp_path / "whole", tmp_path / "killed"
  # Twice what one kill may cut off, so that the kills fall on all stages; what the first run has
  # compiled, the others need not.
  longest = 2 * finish(whole, steps) / min(kills, 8)
  random = np.random.default_rng(seed)
  done = 0
  while done < kills:
    process = start(killed, steps)
    wait_until_it_works(process, killed)
    try:
      assert process.wait(timeout=random.uniform(0, longest)) == 0
      longest /= 2  # It came to its end; the next kill must be sooner.
    except subprocess.TimeoutExpired:
      process.kill()
      process.wait()
      done += 1
  finish(killed, steps)
  jax.tree.map(
    lambda a, b: np.testing.assert_array_equal(a.view(np.uint8), b.view(np.uint8)),
    numbers(whole),
    numbers(killed),
  )
  assert texts(whole) == texts(killed)


# Single kills, in single stages, are among the ordinary tests of `pipeline` and `studies`.
@pytest.mark.slow
def test_two_kills_change_no_number(tmp_path):
  run_with_kills(tmp_path, kills=2, steps=60, seed=0)


@pytest.mark.slow
def test_twenty_kills_change_no_number(tmp_path):
  run_with_kills(tmp_path, kills=20, steps=400, seed=1)
