"""The machine that a benchmark has, shared out fairly: import it before PyTorch, call it first.

JAX gets the host devices that training gets, and PyTorch one thread per core of the cores that this
process may use. On a busy machine PyTorch's threads, which then wait for each other, are several
times faster if they sleep while they do; OpenMP asks for that only once, as it is loaded.

Where JAX has a GPU both get that one and half of its memory each, and results are named `..._gpu`.
"""

import os
import platform
import sys
from importlib import metadata
from typing import Any, TypeVar

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

if "torch" in sys.modules:
  raise ImportError("import machine before torch: OpenMP reads OMP_WAIT_POLICY as it is loaded")
if os.getloadavg()[0] > CORES:
  os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Only now: TensorBoard's writer, which comes with it, loads torch.
from robust_saliency import __version__  # noqa: E402
from robust_saliency.command_line import use_all_cores  # noqa: E402

use_all_cores()
# JAX would take three quarters.
os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", ".5")
DEVICES = jax.local_device_count()
ON_GPU = jax.default_backend() == "gpu"

Choice = TypeVar("Choice")


def size(on_cpu: Choice, *, on_gpu: Choice) -> Choice:
  """What fills this machine."""
  return on_gpu if ON_GPU else on_cpu


def result(name: str) -> str:
  """The name of a benchmark's files: with `_gpu` where it ran on one."""
  return f"{name}_gpu" if ON_GPU else name


def prepare_torch(*, tf32: bool) -> None:
  """Gives PyTorch its cores, or on a GPU its fastest convolutions and JAX's precision.

  Args:
    tf32: whether a GPU multiplies in TF32, as JAX does if not told otherwise.
  """
  import torch

  torch.set_num_threads(CORES)
  torch.backends.cudnn.benchmark = True
  torch.backends.cudnn.allow_tf32 = tf32
  torch.backends.cuda.matmul.allow_tf32 = tf32


def wait_for_torch() -> None:
  """Returns when what PyTorch was told to do is done; a GPU's kernels only begin with a call."""
  if ON_GPU:
    import torch

    torch.cuda.synchronize()


def version_of(package: str) -> str:
  """Its version; of this package also where it is not installed, but on the path."""
  return __version__ if package == "robust_saliency" else metadata.version(package)


def environment(*packages: str) -> dict[str, Any]:
  """What a benchmark's numbers belong to: versions, the machine in general words, how busy it was.

  The load is that of the last five minutes; more than the number of cores means that other
  programs took part.
  """
  gpu = f"one {jax.devices()[0].device_kind}, " if ON_GPU else ""
  return {
    "machine": f"{gpu}{CORES} CPU cores, {platform.machine()}",
    "load": round(os.getloadavg()[1], 1),
    "python": platform.python_version(),
    **{package: version_of(package) for package in packages},
    "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "active"),
  }
