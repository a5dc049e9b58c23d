"""How many devices JAX shall see on a CPU."""

import os

_MOST_HOST_DEVICES = 8


def use_all_cores() -> None:
  """Makes JAX see `host_devices(cores)` devices on CPU; call it before JAX does anything.

  XLA_FLAGS that set a count already are left alone.
  """
  import jax  # only here: what a command says before it computes must not wait for JAX

  xla_flags = os.environ.get("XLA_FLAGS", "")
  if "xla_force_host_platform_device_count" not in xla_flags:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = host_devices(cores or 1, jax.__version_info__)
    os.environ["XLA_FLAGS"] = f"{xla_flags} --xla_force_host_platform_device_count={count}".strip()


def host_devices(cores: int, jax_version: tuple[int, ...]) -> int:
  """How many host devices to train on; those that are fewer than the cores share them.

  Since jax 0.12, one device that spreads each operation over its cores is faster than a batch
  spread over devices by `pmap`; before, neither always is (benchmarks/host_devices.py). Training
  copies the data set to every device, hence at most 8.

  >>> host_devices(4, (0, 10, 1)), host_devices(64, (0, 10, 1)), host_devices(64, (0, 12, 0))
  (4, 8, 1)
  """
  return 1 if jax_version >= (0, 12) else min(cores, _MOST_HOST_DEVICES)
