"""What every test and doctest stands on: eight host devices, on CPU whatever the machine has."""

import os

_EIGHT_DEVICES = "--xla_force_host_platform_device_count=8"

# Before JAX starts. A worker of pytest-xdist inherits what its parent set here.
if _EIGHT_DEVICES not in os.environ.get("XLA_FLAGS", ""):
  os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_EIGHT_DEVICES}".strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")
