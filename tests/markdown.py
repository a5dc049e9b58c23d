"""The code of a page for people, run as it stands."""

import re
from pathlib import Path
from typing import Any


def examples_in(path: Path) -> list[str]:
  """The Python examples of a page, in order."""
  return re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def run_examples(path: Path) -> dict[str, Any]:
  """Runs a page's examples one after the other, and returns the names that they leave."""
  names: dict[str, Any] = {}
  for example in examples_in(path):
    exec(compile(example, path.name, "exec"), names)
  return names
