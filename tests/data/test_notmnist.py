import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from robust_saliency.data import hold_out, load
from robust_saliency.data.notmnist import find_notmnist

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "notmnist"


def archive(path: Path, **changes) -> Path:
  random = np.random.RandomState(0)
  arrays = {
    "x": random.randint(0, 256, (60, 28, 28, 1)).astype(np.uint8),
    "y": np.arange(60) % 3,
    "names": np.array(["A", "B", "C"]),
    **changes,
  }
  np.savez_compressed(path, **{name: array for name, array in arrays.items() if array is not None})
  return path


@pytest.fixture(autouse=True)
def no_file_named_by_the_environment(monkeypatch):
  monkeypatch.delenv("NOTMNIST", raising=False)


def test_images_are_split_by_class_and_scaled_as_in_the_paper(tmp_path):
  dataset = load("notmnist", data_dir=archive(tmp_path / "letters.npz"))
  assert dataset.classes == ("A", "B", "C")
  assert (np.bincount(dataset.train.y).tolist(), np.bincount(dataset.test.y).tolist()) == (
    [16] * 3,
    [4] * 3,
  )
  with np.load(tmp_path / "letters.npz") as stored:
    expected = sorted((int(y), x.tobytes()) for x, y in zip(stored["x"], stored["y"], strict=True))
  both = (dataset.train, dataset.test)
  ours = [(int(y), x.tobytes()) for split in both for x, y in zip(split.x, split.y, strict=True)]
  assert sorted(ours) == expected
  assert dataset.bounds == (-0.5, 0.5)
  stored_bytes = np.arange(256, dtype=np.uint8)
  np.testing.assert_allclose(
    dataset.to_float(stored_bytes), (stored_bytes - 127.5) / 255, atol=1e-7
  )
  assert len(hold_out(dataset, 9).validation) == 9


def test_an_archive_s_own_test_split_stays_as_it_is(tmp_path):
  x_test = np.random.RandomState(1).randint(0, 256, (7, 28, 28, 1)).astype(np.uint8)
  path = archive(tmp_path / "letters.npz", x_test=x_test, y_test=np.arange(7) % 3)
  dataset = load("notmnist", data_dir=path)
  with np.load(path) as stored:
    np.testing.assert_array_equal(dataset.train.x, stored["x"])
  np.testing.assert_array_equal(dataset.test.x, x_test)
  np.testing.assert_array_equal(dataset.test.y, np.arange(7) % 3)


def test_letters_that_lie_one_after_the_other_are_mixed(tmp_path):
  path = archive(tmp_path / "letters.npz", y=np.repeat(np.arange(3), 20))
  dataset = load("notmnist", data_dir=path)
  for split in (dataset.train, dataset.test, hold_out(dataset, 9).validation):
    assert np.count_nonzero(np.diff(split.y)) > 2


def test_the_split_is_always_the_same(tmp_path):
  path = archive(tmp_path / "letters.npz")
  one, other = load("notmnist", data_dir=path), load("notmnist", data_dir=path)
  np.testing.assert_array_equal(one.test.x, other.test.x)


def test_the_file_is_the_argument_then_the_environment_then_in_the_directory(tmp_path, monkeypatch):
  argument = archive(tmp_path / "argument.npz")
  environment = archive(tmp_path / "environment.npz")
  (tmp_path / "data" / "notmnist").mkdir(parents=True)
  in_directory = archive(tmp_path / "data" / "notmnist" / "small.npz")
  assert find_notmnist(tmp_path / "data") == in_directory
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
  assert find_notmnist() == in_directory
  monkeypatch.setenv("NOTMNIST", str(environment))
  assert find_notmnist(tmp_path / "data") == environment
  assert find_notmnist(argument) == argument


def test_no_file_and_several_files_are_said_in_one_sentence(tmp_path, monkeypatch):
  os.mkfifo(tmp_path / "notmnist_0.npz")  # which would hold up whoever reads it
  with pytest.raises(FileNotFoundError, match=f"^notmnist is not in {tmp_path}, and nothing down"):
    load("notmnist", data_dir=tmp_path)
  archive(tmp_path / "notmnist_1.npz")
  archive(tmp_path / "notmnist_2.npz")
  with pytest.raises(FileNotFoundError, match=r"notmnist is there 2 times .*: set NOTMNIST to"):
    load("notmnist", data_dir=tmp_path)
  monkeypatch.setenv("NOTMNIST", str(tmp_path / "nothing.npz"))
  with pytest.raises(FileNotFoundError, match=r"NOTMNIST must be the path of a file, got .*nothi"):
    load("notmnist")


@pytest.mark.parametrize(
  ("changes", "sentence"),
  [
    ({"x": np.zeros((60, 784), np.uint8)}, r"x must be uint8 \[N, 28, 28, 1\], got uint8 \[60, 78"),
    ({"x": np.zeros((60, 28, 28, 1))}, r"x must be uint8 \[N, 28, 28, 1\], got float64 \[60, 28"),
    ({"y": np.zeros(60)}, r"y must hold one integer for each of 60 images, got float64 \[60\]"),
    ({"y": np.arange(59)}, r"y must hold one integer for each of 60 images, got int64 \[59\]"),
    (
      {"y": np.arange(60)},
      r"classes 0 to 2 of at least 5 images, got 60 images of classes 0 to 59",
    ),
    ({"y": np.arange(60) * 2**32}, "classes 0 to 2 of at least 5 images, got 60 images of classes"),
    (
      {"x_test": np.zeros((9, 28, 28, 1), np.uint8), "y_test": np.arange(9)},
      "y_test must hold classes 0 to 2 of at least 5 images, got 9 images of classes 0 to 8",
    ),
    ({"x_test": np.zeros((9, 28, 28, 1), np.uint8)}, "is damaged or is no archive of .*y_test"),
    ({"names": None}, "is damaged or is no archive of x, y and names: .*names"),
  ],
)
def test_a_file_that_holds_something_else_is_refused_in_one_sentence(tmp_path, changes, sentence):
  path = archive(tmp_path / "letters.npz", **changes)
  with pytest.raises(ValueError, match=f"^notmnist in {path}.*{sentence}"):
    load("notmnist", data_dir=path)


class Trap:
  """Unpickling this leaves a file behind."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return os.mkdir, (str(self.path),)


def test_pickled_objects_are_refused_and_not_run(tmp_path):
  trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
  in_archive = archive(tmp_path / "archive.npz", names=trap)
  bare = tmp_path / "bare.npz"
  bare.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
  for path in (in_archive, bare):
    with pytest.raises(ValueError, match="pickled objects, which are never loaded"):
      load("notmnist", data_dir=path)
  assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("compressed", [True, False])
def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path, compressed):
  path = archive(tmp_path / "letters.npz")
  if not compressed:
    with np.load(path) as stored:
      arrays = dict(stored)
    np.savez(path, **arrays)
  whole, content = load("notmnist", data_dir=path), path.read_bytes()
  sentences = []
  for position in np.random.RandomState(0).randint(0, len(content), 60):
    damaged = bytearray(content)
    damaged[position] ^= 1 << position % 8
    path.write_bytes(damaged)
    try:
      dataset = load("notmnist", data_dir=path)
    except ValueError as error:
      sentences.append(str(error))
    else:
      assert dataset.classes == whole.classes
      for name, split in dataset.splits.items():
        np.testing.assert_array_equal(split.x, whole.splits[name].x)
        np.testing.assert_array_equal(split.y, whole.splits[name].y)
  assert len(sentences) > 50
  start = f"notmnist in {path} cannot be read, the file is damaged"
  assert all(sentence.startswith(start) for sentence in sentences)
  path.write_bytes(content[: len(content) // 2])
  with pytest.raises(ValueError, match="the file is damaged"):
    load("notmnist", data_dir=path)


def test_the_real_file_has_its_ten_letters():
  files = sorted(SHARED.glob("*.npz"))
  if not files:
    pytest.skip(f"no notMNIST file in {SHARED}")
  dataset = load("notmnist", data_dir=files[0])
  assert dataset.classes == tuple("ABCDEFGHIJ")
  counts = [np.bincount(split.y) for split in (dataset.train, dataset.test)]
  assert (counts[0] == 4 * counts[1]).all()
