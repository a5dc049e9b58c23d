"""Which cases of a test `make test` runs, and which `make test-slow`."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
TESTS = """
import pytest

@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("case", "abcdef")
def test_six(case): ...

@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("case", ["a", "b", pytest.param("c", marks=pytest.mark.slow)])
def test_two_and_a_slow_one(case): ...

@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("case", "ab")
def test_fewer_than_that(case): ...

def test_one(): ...
"""
QUICK = [
  "six[b]",
  "six[e]",
  "two_and_a_slow_one[b]",
  "fewer_than_that[a]",
  "fewer_than_that[b]",
  "one",
]
SLOW = ["six[a]", "six[c]", "six[d]", "six[f]", "two_and_a_slow_one[a]", "two_and_a_slow_one[c]"]


@pytest.mark.parametrize(("words", "expected"), [("not slow", QUICK), ("slow", SLOW)])
def test_each_case_is_quick_or_slow(tmp_path, words, expected):
  shutil.copy(HERE / "conftest.py", tmp_path)
  (tmp_path / "test_them.py").write_text(TESTS)
  pytest_there = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", words]
  found = subprocess.run(pytest_there, cwd=tmp_path, capture_output=True, text=True, check=True)
  names = [line for line in found.stdout.splitlines() if "::" in line]
  assert names == [f"test_them.py::test_{name}" for name in expected]
