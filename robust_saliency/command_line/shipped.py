"""The experiments that come with the package, which --config names without a path."""

import difflib
import importlib.util
import re
from pathlib import Path

_PACKAGE = "robust_saliency.experiments"


def find_config(name: str) -> Path | None:
  """The file that --config means: a file of this path, else a shipped experiment of this name.

  >>> find_config("digits").name
  'digits.py'
  >>> find_config("no such experiment") is None
  True
  """
  if Path(name).is_file():
    return Path(name)
  return shipped().get(name.removesuffix(".py"))


def shipped() -> dict[str, Path]:
  """Name -> file, of the experiments that come with the package."""
  files = sorted(_folder().glob("*.py"))
  return {
    path.stem: path
    for path in files
    if re.search(r"^def get_config\b", path.read_text(encoding="utf-8"), re.MULTILINE)
  }


def not_found(name: str) -> str:
  """The sentence for a config that there is not."""
  known = shipped()
  near = difflib.get_close_matches(Path(name).stem, known, 1)
  guess = f" (did you mean {near[0]}?)" if near else ""
  listed = ", ".join(known) or "none"
  return f"--config names no file: {name}{guess}; experiments that come with the package: {listed}"


def _folder() -> Path:
  specification = importlib.util.find_spec(_PACKAGE)
  if specification is not None and specification.origin is not None:
    return Path(specification.origin).parent
  # A source tree that is on the path and not installed.
  return Path(__file__).parents[2] / "experiments"
