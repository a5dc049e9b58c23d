"""Checks an installed copy of the package from outside the source tree.

    python tests/check_installed.py FOLDER

FOLDER is what `pip install --target FOLDER` filled. All files of the source must be there (report
templates and the experiments with their tables too, results not), every module must import, and the
launcher must get from a shipped config to a report, and find nothing to do the second time.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]

IMPORT_ALL = """
import importlib, pkgutil, robust_saliency
assert robust_saliency.attacks.pgd
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


def source_files() -> set[str]:
  """Names the files that the package is made of, as they are called when it is installed."""
  experiments = {
    f"robust_saliency/experiments/{path.name}"
    for path in (SOURCE / "experiments").iterdir()
    if path.is_file()
  }
  return package_files(SOURCE) | experiments


def check(installed: Path) -> None:
  """Raises where the installed copy falls short of the source."""
  expected, found = source_files(), package_files(installed)
  if expected != found:
    lacks, besides = sorted(expected - found), sorted(found - expected)
    raise SystemExit(
      f"The wheel lacks {lacks or 'nothing'}, and has {besides or 'nothing'} besides."
    )

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

    # As `bin/robust-saliency` does, which is not where PYTHONPATH finds packages.
    script = "import sys; from robust_saliency.__main__ import main; sys.exit(main())"
    demo = ("-c", script, "main", "--config=digits:smoke", "--workdir=run")
    first = python(*demo)
    if not (Path(elsewhere) / "run" / "report.html").is_file():
      raise SystemExit("The installed launcher wrote no report.")
    # With no JAX to import, or the run would not end at once.
    (Path(elsewhere) / "jax.py").write_text("raise ImportError('JAX was imported')")
    environment["PYTHONPATH"] = f"{elsewhere}{os.pathsep}{installed}"
    if python(*demo) != first:
      raise SystemExit("The installed launcher did not find that its run was finished.")
  print("The installed package has all files, imports, and makes a report.")


if __name__ == "__main__":
  check(Path(sys.argv[1]).resolve())
