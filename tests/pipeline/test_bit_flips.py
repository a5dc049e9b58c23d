"""One flipped bit anywhere in a finished folder: the commands notice it, or it changes nothing."""

import re
import shutil

import numpy as np
import pytest

from robust_saliency.core.files import DamagedFileError
from robust_saliency.training import checkpoints

# What Python, JSON, NumPy and Orbax say of what they cannot read.
NOT_OUR_WORDS = re.compile(
  r"Expecting|Extra data|Invalid|codec|line \d+ column|object is not|NoneType|keyword arg|pickle|"
  r"unhashable|invalid literal|could not convert|has no attribute|zarr|Errno|not in list|KeyError"
)


def flip(path, random):
  content = bytearray(path.read_bytes())
  content[random.integers(len(content))] ^= 1 << random.integers(8)
  path.write_bytes(content)


def whole_checkpoints(workdir):
  """Each checkpoint that verifies -> what it holds."""
  whole = {}
  for path in workdir.glob("models/*/*/checkpoints/step_*"):
    if path.is_dir():
      try:
        manifest = checkpoints.verify(path)
      except DamagedFileError:
        continue
      whole[path.relative_to(workdir)] = manifest
  return whole


def attacked(workdir):
  (path,) = workdir.glob("evaluations/*/standard.npz")
  with np.load(path) as arrays:
    return dict(arrays)


def explained(workdir):
  with np.load(workdir / "explanations" / "standard.npz") as arrays:
    return dict(arrays)


def assert_equal(arrays, expected):
  assert arrays.keys() == expected.keys()
  for name, array in arrays.items():
    np.testing.assert_array_equal(array, expected[name])


def flipped_bits_are_noticed_or_harmless(small, tmp_path, commands, correct, *, paths, flips):
  random, noticed = np.random.default_rng(0), 0
  good = whole_checkpoints(small)
  for _ in range(flips):
    workdir = shutil.copytree(small, tmp_path / "copy")
    path = workdir / random.choice(paths)
    flip(path, random)
    left = whole_checkpoints(workdir)
    said = {name: commands(name, workdir) for name in ("evaluate", "explain")}
    # Who only looks has changed nothing.
    assert whole_checkpoints(workdir) == left
    said["main"] = commands("main", workdir)
    for command, sentence in said.items():
      assert not NOT_OUR_WORDS.search(sentence), (path, command, sentence)
      assert len(sentence) < 600, (path, command, sentence)
    if said["main"] == "":
      np.testing.assert_array_equal(correct(workdir), correct(small))
      last = {path for path in good if path.name == "step_000000012"}
      assert last <= whole_checkpoints(workdir).keys()
    # No good checkpoint is lost.
    assert left.items() <= whole_checkpoints(workdir).items()
    if said["evaluate"] == "":
      assert_equal(attacked(workdir), attacked(small))
    if said["explain"] == "":
      assert_equal(explained(workdir), explained(small))
    noticed += any(said.values())
    shutil.rmtree(workdir)
  return noticed


def files_in(small, pattern):
  found = (path.relative_to(small) for path in small.rglob(pattern))
  return sorted(str(path) for path in found if (small / path).is_file() and str(path) != ".lock")


@pytest.mark.slow
def test_flipped_bits_of_the_config_are_noticed(small, tmp_path, commands, correct):
  paths = files_in(small, "config.json*")
  noticed = flipped_bits_are_noticed_or_harmless(
    small, tmp_path, commands, correct, paths=paths, flips=2
  )
  assert noticed > 0


@pytest.mark.slow
def test_a_hundred_flipped_bits_are_noticed_or_harmless(small, tmp_path, commands, correct):
  paths = [path for path in files_in(small, "*") if "tensorboard" not in path]
  noticed = flipped_bits_are_noticed_or_harmless(
    small, tmp_path, commands, correct, paths=paths, flips=100
  )
  assert noticed > 10
