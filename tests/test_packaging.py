"""The metadata, the lock files and the list of folders agree with one another."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import robust_saliency

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = sorted((ROOT / "requirements").glob("lock-*.txt"))


def locked(lock: Path) -> dict[str, Version]:
  lines = [line for line in lock.read_text().splitlines() if line and not line.startswith("#")]
  assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), "exact versions only"
  pairs = (line.split("==") for line in lines)
  return {canonicalize_name(name): Version(version) for name, version in pairs}


def test_the_version_is_stated_once_and_is_valid():
  assert "version" in PROJECT["project"]["dynamic"]
  assert str(Version(robust_saliency.__version__)) == robust_saliency.__version__


def test_the_installed_metadata_has_the_packages_version():
  try:
    installed = metadata.version("robust_saliency")
  except metadata.PackageNotFoundError:
    pytest.skip("the package runs from its source tree, not installed")
  assert installed == robust_saliency.__version__


def test_no_other_file_repeats_the_version():
  """They would differ from it one day."""
  for name in ("CITATION.cff", "pyproject.toml", "setup.py"):
    assert robust_saliency.__version__ not in (ROOT / name).read_text(), name


def test_folders_of_the_package_are_imported_when_they_are_looked_at():
  program = (
    "import sys, robust_saliency as rs; assert 'robust_saliency.configs' not in sys.modules; "
    "assert {'attacks', 'attributions', 'configs'} <= {*dir(rs)}; rs.configs.ordered; "
    "assert 'jax' not in sys.modules; rs.nonsense"
  )
  run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
  last = run.stderr.strip().splitlines()[-1]
  assert last == "AttributeError: module 'robust_saliency' has no attribute 'nonsense'"


def test_every_public_folder_is_looked_at_by_its_name():
  folders = {path.parent.name for path in (ROOT / "robust_saliency").glob("*/__init__.py")}
  assert folders - {"command_line"} <= {*dir(robust_saliency)}
  for name in dir(robust_saliency):
    assert getattr(robust_saliency, name)


def test_type_checkers_are_told_that_the_package_has_types():
  assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["robust_saliency"]
  assert (ROOT / "robust_saliency" / "py.typed").is_file()


def test_results_that_the_repository_keeps_are_no_part_of_the_package():
  setuptools = PROJECT["tool"]["setuptools"]
  assert setuptools["include-package-data"] is False
  assert setuptools["package-dir"] == {"robust_saliency.experiments": "experiments"}
  assert not list((ROOT / "experiments" / "results").rglob("__init__.py"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_file_satisfies_every_declared_dependency(lock):
  versions = locked(lock)
  project = PROJECT["project"]
  for line in project["dependencies"] + project["optional-dependencies"]["dev"]:
    requirement = Requirement(line)
    version = versions.get(canonicalize_name(requirement.name))
    assert version is not None, f"{lock.name} lacks {requirement.name}"
    assert version in requirement.specifier, f"{lock.name} has {requirement.name} {version}"


def test_there_is_a_lock_file_for_each_supported_jax():
  releases = {lock.stem: locked(lock)["jax"].release[:2] for lock in LOCKS}
  assert releases == {"lock-py311": (0, 10), "lock-py312": (0, 12)}


def test_the_lowest_versions_that_are_tested_are_those_that_are_declared():
  versions = locked(ROOT / "requirements" / "lower.txt")
  for requirement in map(Requirement, PROJECT["project"]["dependencies"]):
    (lowest,) = (bound.version for bound in requirement.specifier if bound.operator == ">=")
    assert versions[canonicalize_name(requirement.name)] == Version(lowest), requirement.name


@pytest.mark.parametrize("name", ["jax", "jaxlib"])
@pytest.mark.parametrize("version", ["0.10.2", "0.11.0"])
def test_releases_that_sum_wrongly_are_excluded(name, version):
  """Those that tests/test_backend.py fails on."""
  (requirement,) = (
    line for line in map(Requirement, PROJECT["project"]["dependencies"]) if line.name == name
  )
  assert version not in requirement.specifier


def test_every_folder_has_its_place_in_the_import_order():
  (order,) = PROJECT["tool"]["importlinter"]["contracts"]
  package = ROOT / "robust_saliency"
  folders = {path.parent.name for path in package.glob("*/*.py")}
  layers = {one.strip() for layer in order["layers"] for one in layer.split("|")}
  assert folders <= layers
  assert order["exhaustive"], "import-linter must refuse a module without a place"


def test_no_tracked_file_names_a_folder_of_somebodys_machine():
  listing = subprocess.run(
    [
      "git",
      "grep",
      "-lIE",
      r"(/home/|/root/|/Users/|/work/)[a-zA-Z]",
      "--",
      ":!tests",
    ],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  if listing.returncode > 1:
    pytest.skip("not a git checkout")
  assert listing.stdout == ""


@pytest.mark.parametrize(
  "config", sorted((ROOT / "experiments").glob("*.py")), ids=lambda p: p.stem
)
def test_the_commands_that_a_config_prints_work_without_a_checkout(config):
  text = ast.get_docstring(ast.parse(config.read_text())) or ""
  assert "--config=experiments/" not in text
