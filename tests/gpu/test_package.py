import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gpu import package
from robust_saliency import data
from robust_saliency.pipeline.stages import digest_of_dataset

ROOT = Path(__file__).resolve().parents[2]
# What such a machine has besides Python's own library, by the names that are imported.
THERE = {
  "absl", "flax", "jax", "matplotlib", "numpy", "optax", "orbax", "PIL", "scipy", "skimage",
  "sklearn", "tensorstore",
}  # fmt: skip
CARRIED = {
  "jinja2": "jinja2",
  "markupsafe": "markupsafe",
  "ml_collections": "ml_collections",
  "tensorboardx": "tensorboardX",
}


def lines_of(name):
  lines = (ROOT / "requirements" / name).read_text().splitlines()
  return {line.strip() for line in lines if line and not line.startswith("#")}


def noise(dtype, bounds):
  """A set of bytes whose 0 and 255 are the bounds, or of floats between them."""
  low, high = bounds
  random = np.random.default_rng(0)
  x = random.integers(0, 256, (6, 4, 4, 1)).astype(np.uint8)
  scale = (high - low) / 255
  if dtype != np.uint8:
    x, low, scale = (x * scale + low).clip(*bounds).astype(np.float32), 0.0, 1.0
  split = data.Split(x, np.arange(6, dtype=np.int32) % 2)
  return data.Dataset(
    "noise", split, split, split, ("a", "b"), scale=scale, offset=low, bounds=bounds
  )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-0.5, 0.5), (-1.0, 1.0)])
def test_a_packaged_set_is_the_same_to_whatever_follows_from_it(dtype, bounds, tmp_path):
  dataset = noise(dtype, bounds)
  package.write_dataset(dataset, tmp_path / "noise.npz")
  read = data.load("npz", path=tmp_path / "noise.npz")
  assert read.name == "noise"
  assert digest_of_dataset(read) == digest_of_dataset(dataset)
  np.testing.assert_array_equal(read.to_float(read.test.x), dataset.to_float(dataset.test.x))


def test_the_beginning_of_a_set_may_be_packaged():
  dataset = data.load("digits")
  first = package.beginning(dataset, 50)
  assert (len(first.train), len(first.test)) == (50, 5)
  np.testing.assert_array_equal(first.train.x, dataset.train.x[:50])
  np.testing.assert_array_equal(first.test.y, dataset.test.y[:5])


@pytest.mark.parametrize(
  ("examples", "sentence"),
  [
    (9, "training examples of digits must be >= 10, got 9"),
    (10**6, "training examples of digits must be at most "),
    ("1e3", "training examples of digits must be a whole number"),
  ],
)
def test_a_beginning_that_there_is_not_is_refused(examples, sentence):
  with pytest.raises((ValueError, TypeError), match=sentence):
    package.beginning(data.load("digits"), examples)


def test_bytes_of_another_range_are_refused(tmp_path):
  with pytest.raises(ValueError, match="digits must have bytes whose 0 and 255 are its bounds"):
    package.write_dataset(data.load("digits"), tmp_path / "digits.npz")


def test_what_travels_is_counted_and_too_much_is_refused_in_a_sentence(tmp_path):
  (tmp_path / "folder").mkdir()
  for name in ("one", "folder/two"):
    (tmp_path / name).write_bytes(b"123")
  assert package.size_of([tmp_path / "one", tmp_path / "folder"]) == 6
  assert package.check_size(8 * package.MIB, 12 * package.MIB) == (
    "the tree has 8.0 MiB, .gpu 12.0 MiB, together 20.0 of 64 MiB"
  )
  with pytest.raises(ValueError, match="together they must have at most 64 MiB"):
    package.check_size(8 * package.MIB, 56 * package.MIB + 1)


def test_the_tree_is_what_git_does_not_ignore(tmp_path):
  subprocess.run(["git", "init", "-q", tmp_path], check=True)
  for name in ("kept.py", "ignored.npz", ".gitignore"):
    (tmp_path / name).write_text("*.npz")
  assert sorted(path.name for path in package.tree(tmp_path)) == [".gitignore", "kept.py"]


def test_what_is_carried_is_locked_for_that_python():
  assert {line.split("==")[0].lower() for line in lines_of("gpu.txt")} == {*CARRIED}
  assert lines_of("gpu.txt") <= lines_of("lock-py312.txt")
  peers = lines_of("peers.txt") | {line.split()[0] for line in lines_of("peers-no-deps.txt")}
  assert lines_of("gpu-peers.txt") <= peers


def test_nothing_is_imported_that_a_bare_machine_has_not_and_is_not_carried():
  ours = {"robust_saliency", "gpu", *sys.stdlib_module_names}
  for path in [*(ROOT / "robust_saliency").rglob("*.py"), *(ROOT / "gpu").glob("*.py")]:
    # What a function imports is for paths that are not taken there: TFDS's, for one.
    for node in ast.parse(path.read_text()).body:
      names = []
      if isinstance(node, ast.Import):
        names = [one.name for one in node.names]
      elif isinstance(node, ast.ImportFrom) and not node.level:
        names = [node.module]
      assert {name.split(".")[0] for name in names} <= THERE | {*CARRIED.values()} | ours, path
