"""How the tests are run: in workers that start together, in CI, and all checks in one command."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# As the Adversarial Robustness Toolbox does it, but so slowly that whoever looks meanwhile fails.
SLOW_SETTINGS = """
import json, os, time
path = os.path.join(os.path.expanduser("~"), "settings.json")
if os.path.exists(path):
  with open(path) as file:
    SETTINGS = json.load(file)
else:
  SETTINGS = {"folder": "data"}
  with open(path, "w") as file:
    time.sleep(1)
    file.write(json.dumps(SETTINGS))
"""

# What `make` and `python` are in CI's tests.
MAKE = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
  test*) echo "====== 3 passed in 1.00s ======"; exit $TEST_STATUS;;
  *"$UNCLEAN"*) exit 2;;
esac
"""
PYTHON = """#!/bin/sh
echo {version}
"""


def executable(path, text):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)
  path.chmod(0o755)


def test_workers_that_import_art_at_once_all_find_its_settings(tmp_path):
  package, home = tmp_path / "art", tmp_path / "home"
  package.mkdir()
  home.mkdir()
  (package / "__init__.py").write_text("from art import config\n")
  (package / "config.py").write_text(SLOW_SETTINGS)
  (tmp_path / "test_it.py").write_text("import art\n\ndef test_it(): assert art.config.SETTINGS\n")
  shutil.copy(ROOT / "conftest.py", tmp_path)
  run = subprocess.run(
    [sys.executable, "-m", "pytest", "-p", "xdist", "-n", "2", "--dist=each"],
    cwd=tmp_path,
    env={
      **os.environ,
      "HOME": str(home),
      "PYTHONPATH": str(tmp_path),
      "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    },
    capture_output=True,
    text=True,
    check=False,
  )
  assert "2 passed" in run.stdout, run.stdout + run.stderr


@pytest.mark.parametrize(
  ("unclean", "test_status", "status"),
  [("none", 0, 0), ("/3.12", 0, 2), ("none", 1, 1), ("/3.13", 1, 2)],
)
def test_ci_lints_on_every_python_and_ends_with_what_pytest_says(
  tmp_path, unclean, test_status, status
):
  executable(tmp_path / "bin" / "make", MAKE)
  for version in ("3.10", "3.11", "3.12", "3.13"):
    executable(tmp_path / version / "python", PYTHON.format(version=version))
    executable(
      tmp_path / "pyenv" / "versions" / version / "bin" / "python", PYTHON.format(version=version)
    )
    # What a shim does for a version that pyenv has, but was not told to use.
    executable(tmp_path / "bin" / f"python{version}", "#!/bin/sh\nexit 127\n")
  run = subprocess.run(
    ["bash", str(ROOT / ".ci" / "run")],
    env={
      "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
      "HOME": str(tmp_path),
      "PYENV_ROOT": str(tmp_path / "pyenv"),
      "PYTHON": str(tmp_path / "3.11" / "python"),
      "CALLS": str(tmp_path / "calls"),
      "UNCLEAN": unclean,
      "TEST_STATUS": str(test_status),
    },
    capture_output=True,
    text=True,
    check=False,
  )
  calls = [
    line.replace(str(tmp_path), "") for line in (tmp_path / "calls").read_text().splitlines()
  ]
  assert calls == [
    "lint PYTHON=/pyenv/versions/3.12/bin/python",
    "lint PYTHON=/pyenv/versions/3.13/bin/python",
    "test PYTHON=/3.11/python",
  ]
  assert run.stdout.splitlines()[-1] == "====== 3 passed in 1.00s ======"
  assert run.returncode == status


@pytest.mark.parametrize(("checks", "failed"), [("help check-python", 0), ("no-such help", 1)])
def test_check_all_runs_every_check_and_says_how_each_ended(checks, failed):
  if shutil.which("make") is None:
    pytest.skip("needs make")
  run = subprocess.run(
    ["make", "check-all", f"CHECKS={checks}", f"PYTHON={sys.executable}"],
    cwd=ROOT,
    # Those of a make that runs this test.
    env={key: value for key, value in os.environ.items() if not key.startswith("MAKE")},
    capture_output=True,
    text=True,
    check=False,
  )
  assert (run.returncode != 0) == bool(failed)
  summary = [line.split()[:2] for line in run.stdout.splitlines()[-2:]]
  ended = ["FAILED"] * failed + ["passed"] * (2 - failed)
  assert summary == [[check, end] for check, end in zip(checks.split(), ended, strict=True)]
