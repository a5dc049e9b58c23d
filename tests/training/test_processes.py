import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robust_saliency.training import read_metrics

pytestmark = pytest.mark.slow


def free_port():
  with socket.socket() as listener:
    listener.bind(("localhost", 0))
    return listener.getsockname()[1]


def start(result, directory, *, process=0, processes=1, port=0, devices):
  environment = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={devices}",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
  }
  script = Path(__file__).with_name("process.py")
  arguments = map(str, (script, result, directory, process, processes, port))
  return subprocess.Popen(
    [sys.executable, *arguments], env=environment, stderr=subprocess.PIPE, text=True
  )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  """The folder of three processes' results: two that train together, one that trains alone."""
  folder, port = tmp_path_factory.mktemp("processes"), free_port()
  together = {"processes": 2, "port": port, "devices": 1}
  # A folder each, as on two machines that share none: the second must learn all from the first.
  started = [
    start(folder / "0.npz", folder / "first", process=0, **together),
    start(folder / "1.npz", folder / "second", process=1, **together),
    start(folder / "alone.npz", folder / "alone", devices=2),
  ]
  try:
    for process in started:
      _, errors = process.communicate(timeout=240)
      assert process.returncode == 0, errors
  finally:
    for process in started:
      process.kill()
  return folder


def results(runs, name):
  with np.load(runs / f"{name}.npz") as arrays:
    return list(arrays.values())


def test_two_processes_end_where_one_with_two_devices_ends(runs):
  for first, second, alone in zip(
    results(runs, "0"), results(runs, "1"), results(runs, "alone"), strict=True
  ):
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, alone, rtol=1e-5, atol=1e-6)


def test_only_the_first_process_writes(runs):
  assert {p.name for p in (runs / "first").iterdir()} == {
    "checkpoints",
    "metrics.csv",
    "metrics.csv.sha256",
    "tensorboard",
  }
  assert not (runs / "second").exists()


def test_two_processes_measure_what_one_measures(runs):
  together, alone = read_metrics(runs / "first"), read_metrics(runs / "alone")
  assert [row["step"] for row in together] == [2, 3, 4, 6, 8, 9, 10, 12]
  assert [row["step"] for row in together if "probe_gradient" in row] == [4, 6, 8, 12]
  for a, b in zip(together, alone, strict=True):
    assert a == pytest.approx(b, rel=1e-4)
