"""What every test and doctest stands on: eight host devices, on CPU whatever the machine has."""

import importlib.util
import os
import runpy
from pathlib import Path

_EIGHT_DEVICES = "--xla_force_host_platform_device_count=8"

# Before JAX starts. A worker of pytest-xdist inherits what its parent set here.
if _EIGHT_DEVICES not in os.environ.get("XLA_FLAGS", ""):
  os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_EIGHT_DEVICES}".strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")


def pytest_configure(config):
  """Lets ART, if it is there, write its settings before workers import it at the same time.

  The first import writes them to the home directory; another that reads them half-written fails.
  """
  if not hasattr(config, "workerinput"):
    art = importlib.util.find_spec("art")
    for folder in (art and art.submodule_search_locations) or ():
      settings = Path(folder) / "config.py"
      if settings.is_file():
        runpy.run_path(str(settings))
