"""Random damage to whatever a run has saved: it is noticed, or it changes no number."""

import os
import shutil

import jax
import numpy as np
import pytest

from robust_saliency.core.files import DamagedFileError
from robust_saliency.results.files import load_result, save_result
from robust_saliency.results.result import Layout, Result
from robust_saliency.training import checkpoints, read_metrics, train

IDENTITY = "a digest"
ARRAYS = {
  "correct": np.random.default_rng(0).random((2, 3, 50)) < 0.5,
  "maps": np.random.default_rng(1).normal(size=(4, 8, 8)).astype(np.float32),
}
LAYOUT = Layout({"correct": ("model", "seed", "example")}, {"model": ("standard", "pgd")})
METADATA = {"epsilons": [0.0, 0.1]}


@jax.jit
def take_step(state, data, indices):
  w = state["w"] * 0.9 + indices[0, 0]
  return {"w": w}, {"loss": w.sum()}


def run(directory, last=20):
  return train(
    take_step,
    {"w": np.linspace(0, 1, 100, dtype=np.float32)},
    {"x": np.zeros(1, np.float32)},
    steps=last,
    indices=lambda step: np.array([[step]], np.int32),
    directory=directory,
    log_every=2,
    checkpoint_every=5,
    identity=IDENTITY,
  )["w"]


def study(directory):
  return load_result(directory / "study", identity=IDENTITY)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  directory = tmp_path_factory.mktemp("saved")
  w = run(directory)
  result = Result("study", "robustness", LAYOUT, ARRAYS, METADATA)
  save_result(result, directory / "study", identity=IDENTITY)
  rows = read_metrics(directory)
  shutil.rmtree(directory / "tensorboard")  # nothing reads it
  return directory, w, rows


def files_of(directory):
  found = (p for p in directory.rglob("*") if p.is_file() and p.stat().st_size)
  return sorted(found, key=lambda p: p.relative_to(directory))


def assert_noticed_or_harmless(directory, w, rows):
  # The study first: nothing but its result is there to be damaged.
  result = study(directory)
  if result is not None:
    assert (result.layout, result.metadata) == (LAYOUT, METADATA)
    for name, array in ARRAYS.items():
      np.testing.assert_array_equal(result.arrays[name], array)
  assert run(directory).tobytes() == w.tobytes()
  assert read_metrics(directory) == rows
  return result is not None


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  ("damage", "trials"),
  [("flip", 60), ("truncate", 20), pytest.param("flip", 200, marks=pytest.mark.slow)],
)
def test_random_damage_is_noticed_or_changes_no_number(
  damage, trials, saved, tmp_path, monkeypatch
):
  directory, w, rows = saved
  random = np.random.default_rng(trials)
  passed_over = []
  monkeypatch.setattr(
    "absl.logging.warning", lambda text, *arguments: passed_over.append(text % arguments)
  )
  noticed = 0
  for trial in range(trials):
    copy = tmp_path / str(trial)
    shutil.copytree(directory, copy)
    path = random.choice(files_of(copy))
    content = bytearray(path.read_bytes())
    if damage == "flip":
      content[random.integers(len(content))] ^= 1 << random.integers(8)
    else:
      del content[random.integers(len(content)) :]
    path.write_bytes(content)
    passed_over.clear()
    assert_noticed_or_harmless(copy, w, rows)
    noticed += bool(passed_over)
    shutil.rmtree(copy)
  # A file name within a digest's file may change without a word, and older checkpoints go unread.
  assert noticed > trials / 4


def test_every_flipped_bit_of_the_newest_checkpoint_s_arrays_is_noticed(saved, tmp_path):
  directory = saved[0]
  random = np.random.default_rng(0)
  newest = directory / "checkpoints" / "step_000000020"
  shutil.copytree(directory / "checkpoints", tmp_path / "checkpoints")
  copy = tmp_path / "checkpoints" / newest.name
  for _ in range(100):
    path = random.choice(files_of(copy))
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[random.integers(len(content))] ^= 1 << random.integers(8)
    path.write_bytes(damaged)
    with pytest.raises(DamagedFileError):
      checkpoints.verify(copy)
    path.write_bytes(content)
  checkpoints.verify(copy)


def test_an_empty_folder_of_a_later_step_is_passed_over_and_named(saved, tmp_path, caplog):
  directory, w, rows = saved
  shutil.copytree(directory, tmp_path / "copy")
  os.mkdir(tmp_path / "copy" / "checkpoints" / "step_000000021")
  with caplog.at_level("WARNING", logger="absl"):
    assert_noticed_or_harmless(tmp_path / "copy", w, rows)
  assert "step_000000021" in caplog.text
