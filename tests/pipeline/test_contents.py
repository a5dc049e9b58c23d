"""The tables of contents that newcomers read."""

import re
from pathlib import Path

import pytest

from robust_saliency import command_line, pipeline


@pytest.mark.parametrize("package", [pipeline, command_line], ids=lambda one: one.__name__)
def test_a_package_s_docstring_names_every_file_of_it(package):
  there = {path.stem for path in Path(package.__file__).parent.glob("*.py")} - {"__init__"}
  assert there - {*re.findall(r"\w+", package.__doc__)} == set()
