"""Runs `soak_config.py`'s experiment in processes of its own, which can be killed."""

import os
import subprocess
import sys
from pathlib import Path

from robust_saliency.pipeline import read_networks

CONFIG = Path(__file__).with_name("soak_config.py")


def start(folder, *flags, steps=60, devices=None):
  """Starts the experiment in `folder`/run, on so many host devices."""
  folder.mkdir(exist_ok=True)
  environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
  if devices is not None:
    several = f"--xla_force_host_platform_device_count={devices}"
    environment["XLA_FLAGS"] = f"{environment['XLA_FLAGS']} {several}"
  command = ["-m", "robust_saliency.main", f"--config={CONFIG}:{steps}", "--workdir=run", *flags]
  with errors(folder).open("a") as file:
    return subprocess.Popen(
      [sys.executable, *command],
      env=environment,
      cwd=folder,
      stdout=subprocess.DEVNULL,
      stderr=file,
    )


def wait_for_its_end(process, folder, *, seconds=600):
  assert process.wait(timeout=seconds) == 0, errors(folder).read_text()


def errors(folder):
  return folder / "errors.txt"


def trained(folder):
  """The variables of every network."""
  return {
    f"{name}, seed {network.seed}": network.variables
    for name, of_seeds in read_networks(folder / "run")[1].items()
    for network in of_seeds
  }
