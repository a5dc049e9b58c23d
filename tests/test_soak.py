"""A run that is killed again and again ends with the numbers of one that never was."""

import re
import shutil
import subprocess
import time

import jax
import numpy as np
import pytest

from tests import soak


def wait_until_it_works(process, folder):
  lock = folder / "run" / ".lock"
  while process.poll() is None:
    if lock.exists() and lock.read_text().startswith(f"{process.pid} "):
      return
    time.sleep(0.02)


def finish(folder, steps):
  """Runs the experiment to its end; returns the seconds of its work, its imports apart."""
  process = soak.start(folder, steps=steps, devices=2)
  wait_until_it_works(process, folder)
  began = time.monotonic()
  soak.wait_for_its_end(process, folder)
  return time.monotonic() - began


def numbers(folder):
  """The variables of every network, and the arrays of every study."""
  found = (folder / "run" / "studies").glob("*/result.npz")
  studies = {path.parent.name: dict(np.load(path)) for path in found}
  maps = {path.name: np.load(path) for path in (folder / "run").glob("studies/maps/kept/*/*.npy")}
  assert studies
  assert len(maps) == 2
  networks = soak.trained(folder)
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


def assert_same(whole, killed):
  """To the bit, times and dates apart."""
  jax.tree.map(
    lambda a, b: np.testing.assert_array_equal(a.view(np.uint8), b.view(np.uint8)),
    numbers(whole),
    numbers(killed),
  )
  assert texts(whole) == texts(killed)


def run_with_kills(tmp_path, *, kills, steps, seed):
  whole, killed = tmp_path / "whole", tmp_path / "killed"
  # Twice what one kill may cut off, so that the kills fall on all stages; what the first run has
  # compiled, the others need not.
  longest = 2 * finish(whole, steps) / min(kills, 8)
  random = np.random.default_rng(seed)
  done = 0
  while done < kills:
    process = soak.start(killed, steps=steps, devices=2)
    wait_until_it_works(process, killed)
    try:
      soak.wait_for_its_end(process, killed, seconds=random.uniform(0, longest))
    except subprocess.TimeoutExpired:
      process.kill()
      process.wait()
      done += 1
    else:
      # What is finished has nothing to kill: another run begins, and its kills come sooner.
      assert_same(whole, killed)
      shutil.rmtree(killed)
      longest /= 2
  finish(killed, steps)
  assert_same(whole, killed)


# Single kills, in single stages, are among the ordinary tests of `pipeline` and `studies`.
@pytest.mark.slow
def test_two_kills_change_no_number(tmp_path):
  run_with_kills(tmp_path, kills=2, steps=60, seed=0)


@pytest.mark.slow
def test_twenty_kills_change_no_number(tmp_path):
  run_with_kills(tmp_path, kills=20, steps=400, seed=1)
