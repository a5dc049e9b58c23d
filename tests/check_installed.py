"""Checks an installed copy of the package from outside the source tree.

    python tests/check_installed.py FOLDER

FOLDER is what `pip install --target FOLDER` filled. All files of the source must be there (report
templates too), every module must import, and the launcher must get from a config to a report.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]

IMPORT_ALL = """
import importlib, pkgutil, robust_saliency
for module in pkgutil.walk_packages(robust_saliency.__path__, "robust_saliency."):
  if not module.name.endswith("__main__"):
    importlib.import_module(module.name)
print(robust_saliency.__file__)
"""


def package_files(folder: Path) -> set[str]:
  """Names the package's files below a folder."""
  return {
    str(path.relative_to(folder))
    for path in (folder / "robust_saliency").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
  }


def check(installed: Path) -> None:
  """Raises where the installed copy falls short of the source."""
  missing = package_files(SOURCE) - package_files(installed)
  if missing:
    raise SystemExit(f"The wheel lacks {', '.join(sorted(missing))}.")

  environment = os.environ | {"PYTHONPATH": str(installed), "JAX_PLATFORMS": "cpu"}
  with tempfile.TemporaryDirectory() as elsewhere:

    def python(*arguments: str) -> str:
      command = [sys.executable, "-P", *arguments]
      return subprocess.run(
        command, cwd=elsewhere, env=environment, check=True, stdout=subprocess.PIPE, text=True
      ).stdout

    used = Path(python("-c", IMPORT_ALL).strip())
    if installed not in used.parents:
      raise SystemExit(f"The installed copy in {installed} was not used, but {used}.")

    config = SOURCE / "experiments" / "digits.py"
    python("-m", "robust_saliency.main", f"--config={config}:smoke", "--workdir=run")
    if not (Path(elsewhere) / "run" / "report.html").is_file():
      raise SystemExit("The installed launcher wrote no report.")
  print("The installed package has all files, imports, and makes a report.")


if __name__ == "__main__":
  check(Path(sys.argv[1]).resolve())
