"""The jaxlib that is installed sums rightly on CPU: not every release does."""

import os
import subprocess
import sys
from pathlib import Path

import jaxlib
import pytest

PROGRAM = Path(__file__).with_name("backend_sums.py")


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  "name",
  [
    "squared_products",
    "sum_of_products",
    "sum_of_broadcast_products",
    "sum_of_one_broadcast_product",
  ],
)
def test_a_compiled_sum_is_that_of_numpy(name):
  # Compiled as for users, not as fast as for tests.
  environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
  run = subprocess.run(
    [sys.executable, str(PROGRAM), name],
    env=environment,
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
  )
  assert run.returncode == 0, f"jaxlib {jaxlib.__version__} crashes: {run.returncode}, {run.stderr}"
  assert float(run.stdout) < 1e-5, f"jaxlib {jaxlib.__version__} sums wrongly"
