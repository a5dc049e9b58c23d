"""The machine that a benchmark has, shared out fairly: import it before PyTorch, call it first.

JAX gets the host devices that training gets, and PyTorch one thread per core of the cores that this
process may use. On a busy machine PyTorch's threads, which then wait for each other, are several
times faster if they sleep while they do; OpenMP asks for that only once, as it is loaded.
"""

import os
import platform
import sys
from importlib import metadata
from typing import Any

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

if "torch" in sys.modules:
  raise ImportError("import machine before torch: OpenMP reads OMP_WAIT_POLICY as it is loaded")
if os.getloadavg()[0] > CORES:
  os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Only now: TensorBoard's writer, which comes with it, loads torch.
from robust_saliency.command_line import use_all_cores  # noqa: E402

use_all_cores()
DEVICES = jax.local_device_count()


def environment(*packages: str) -> dict[str, Any]:
  """What a benchmark's numbers belong to: versions, the machine in general words, how busy it was.

  The load is that of the last five minutes; more than the number of cores means that other
  programs took part.
  """
  return {
    "machine": f"{CORES} CPU cores, {platform.machine()}",
    "load": round(os.getloadavg()[1], 1),
    "python": platform.python_version(),
    **{package: metadata.version(package) for package in packages},
    "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "active"),
  }
