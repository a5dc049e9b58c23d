"""What every test and doctest stands on: eight host devices, on CPU whatever the machine has."""

import collections
import gc
import importlib.util
import os
import runpy
from pathlib import Path

import pytest

_EIGHT_DEVICES = "--xla_force_host_platform_device_count=8"

# Before JAX starts. A worker of pytest-xdist inherits what its parent set here.
if _EIGHT_DEVICES not in os.environ.get("XLA_FLAGS", ""):
  os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_EIGHT_DEVICES}".strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# Whatever JAX keeps of a program is a heap of small objects, which Python's collector would go
# through again and again: a fifth of the time that all tests take.
gc.set_threshold(50_000, 20, 100)
_TESTS = Path(__file__).parent / "tests"


@pytest.fixture(scope="module", autouse=True)
def _forget_programs(request):
  """Drops what was compiled for a file of tests, which other files have no use for."""
  yield
  if _TESTS in request.path.parents:
    import jax  # has read its variables by now

    jax.clear_caches()


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


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marks
def pytest_collection_modifyitems(items):
  """Marks as slow all cases of a test with `quick_cases(n)` but n, spread over the list."""
  cases = collections.defaultdict(list)
  for item in items:
    if item.get_closest_marker("quick_cases") and not item.get_closest_marker("slow"):
      cases[item.nodeid.partition("[")[0]].append(item)
  for those in cases.values():
    (count,) = those[0].get_closest_marker("quick_cases").args
    # From the middle of each stretch: the first case is often the simplest, an epsilon of 0 say.
    quick = {(2 * place + 1) * len(those) // (2 * count) for place in range(count)}
    for place, item in enumerate(those):
      if place not in quick:
        item.add_marker(pytest.mark.slow)
