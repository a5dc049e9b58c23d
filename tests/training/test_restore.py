"""A run resumes elsewhere from a checkpoint of eight devices."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robust_saliency.training import read_metrics

pytestmark = pytest.mark.slow  # four processes that each compile


def free_port():
  with socket.socket() as listener:
    listener.bind(("localhost", 0))
    return listener.getsockname()[1]


def start(result, directory, steps, *, process=0, processes=1, port=0, devices):
  environment = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
  }
  script = Path(__file__).with_name("restore.py")
  arguments = map(str, (script, result, directory, steps, process, processes, port))
  return subprocess.Popen(
    [sys.executable, *arguments], env=environment, stderr=subprocess.PIPE, text=True
  )


def finish(*started):
  try:
    for process in started:
      _, errors = process.communicate(timeout=240)
      assert process.returncode == 0, errors
  finally:
    for process in started:
      process.kill()


def test_eight_devices_checkpoint_takes_the_same_next_step_on_one_and_on_two_processes(tmp_path):
  finish(start(tmp_path / "at_6.npz", tmp_path / "run", 6, devices=8))
  for name in ("eight", "one", "two"):
    shutil.copytree(tmp_path / "run", tmp_path / name)
  together = {"processes": 2, "port": free_port(), "devices": 1}
  finish(
    start(tmp_path / "eight.npz", tmp_path / "eight", 7, devices=8),
    start(tmp_path / "one.npz", tmp_path / "one", 7, devices=1),
    # The second shares no folder with the first.
    start(tmp_path / "two.npz", tmp_path / "two", 7, process=0, **together),
    start(tmp_path / "other.npz", tmp_path / "none", 7, process=1, **together),
  )
  results = {}
  for name in ("at_6", "eight", "one", "two", "other"):
    with np.load(tmp_path / f"{name}.npz") as arrays:
      results[name] = list(arrays.values())
  assert any(np.any(a != b) for a, b in zip(results["at_6"], results["eight"], strict=True))
  for name in ("one", "two", "other"):
    for a, b in zip(results["eight"], results[name], strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
  rows = [read_metrics(tmp_path / name)[-1] for name in ("eight", "one", "two")]
  for row in rows[1:]:
    for name, value in rows[0].items():
      np.testing.assert_allclose(row[name], value, rtol=1e-6)
