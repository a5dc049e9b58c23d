"""Fills .gpu/ with what a bare machine with an accelerator lacks; it then needs no network there.

  python -m gpu.package mnist            # `make gpu-package`, other sets by DATA="mnist notmnist"
  python -m gpu.package cifar10:15000    # its first 15,000 training images, a tenth as many others

  .gpu/NAME.npz     a data set, read from where it is prepared here
  .gpu/site/        the packages of requirements/gpu*.txt, unpacked for Python 3.12 on x86-64 Linux

Git ignores the folder: it has to be carried beside the tree. Both together may have 64 MiB.
"""

import argparse
import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robust_saliency import data
from robust_saliency.core import checks, files
from robust_saliency.data import Dataset

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".gpu"
MIB = 2**20
MOST = 64 * MIB
# pip wants each glibc that a wheel may be made for by name.
_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
_FOR_ANOTHER = [
  "--python-version=3.12",
  "--implementation=cp",
  *(f"--platform={one}" for one in _PLATFORMS),
]


def write_dataset(dataset: Dataset, path: Path) -> None:
  """Writes a data set as `data.load("npz", path=path)` reads it: equal in all that it means.

  Args:
    dataset: of bytes, or of floats that are the pixels themselves.
    path: the file, whose name without `.npz` is the name that the set has when it is read.

  Raises:
    ValueError: for bytes of which 0 and 255 are not the bounds.
  """
  low, high = dataset.bounds
  if dataset.train.x.dtype == np.uint8 and dataset.scale != (high - low) / 255:
    raise ValueError(
      f"dataset {dataset.name} must have bytes whose 0 and 255 are its bounds, got a scale of "
      f"{dataset.scale:.4g} between {low} and {high}"
    )
  arrays = {"classes": np.array(dataset.classes), "bounds": np.array(dataset.bounds)}
  for name, split in dataset.splits.items():
    arrays |= {f"x_{name}": split.x, f"y_{name}": split.y}
  files.write_bytes(path, files.npz(arrays))


def beginning(dataset: Dataset, examples: Any) -> Dataset:
  """The first of its training examples, and a tenth as many of each other split.

  Args:
    dataset: a data set.
    examples: of training, a whole number >= 10.

  Raises:
    ValueError, TypeError: for another number, or more than there are.
  """
  checks.count(10, **{f"training examples of {dataset.name}": examples}, maximum=len(dataset.train))
  others = slice(examples // 10)
  return dataclasses.replace(
    dataset,
    train=dataset.train.take(slice(examples)),
    validation=dataset.validation and dataset.validation.take(others),
    test=dataset.test.take(others),
  )


def install_packages(folder: Path) -> None:
  """Unpacks the packages of requirements/gpu*.txt into a folder for PYTHONPATH."""
  shutil.rmtree(folder, ignore_errors=True)
  command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
  command += ["--no-deps", "--no-compile", "--only-binary=:all:", *_FOR_ANOTHER]
  listed = sorted((ROOT / "requirements").glob("gpu*.txt"))
  command += [f"--target={folder}", *(f"--requirement={one}" for one in listed)]
  subprocess.run(command, check=True)


def size_of(paths: Iterable[Path]) -> int:
  """Bytes of these files together, of folders all that is in them."""
  within = (one for path in paths for one in (path.rglob("*") if path.is_dir() else [path]))
  return sum(one.stat().st_size for one in within if one.is_file())


def tree(root: Path) -> list[Path]:
  """The files that are not ignored, whether Git knows them already or not."""
  command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
  listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
  return [path for name in listed.split("\0") if name and (path := root / name).is_file()]


def check_size(of_tree: int, carried: int) -> str:
  """Says how large what travels is.

  Args:
    of_tree: bytes of the tree.
    carried: bytes of the folder beside it.

  Returns:
    A sentence.

  Raises:
    ValueError: if it is more than such a machine takes.
  """
  said = f"the tree has {of_tree / MIB:.1f} MiB, .gpu {carried / MIB:.1f} MiB"
  if of_tree + carried > MOST:
    raise ValueError(
      f"{said}: together they must have at most {MOST // MIB} MiB; package fewer data sets"
    )
  return f"{said}, together {(of_tree + carried) / MIB:.1f} of {MOST // MIB} MiB"


def main(arguments: Sequence[str]) -> None:
  """Fills the folder and says how large it is."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument(
    "names", nargs="+", metavar="NAME[:EXAMPLES]", help="a data set, such as mnist"
  )
  names = parser.parse_args(arguments).names
  FOLDER.mkdir(exist_ok=True)
  try:
    for stale in FOLDER.glob("*.npz"):
      stale.unlink()
    for given in names:
      name, _, examples = given.partition(":")
      dataset = data.load(name)
      if examples:
        dataset = beginning(dataset, int(examples) if examples.isdecimal() else examples)
      write_dataset(dataset, FOLDER / f"{name}.npz")
    install_packages(FOLDER / "site")
    print(check_size(size_of(tree(ROOT)), size_of([FOLDER])))
  except (ValueError, TypeError, OSError, subprocess.CalledProcessError) as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
  main(sys.argv[1:])
