import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from robust_saliency.data import load
from robust_saliency.data.tfds_sets import data_directory, find, load_tfds, prepare


@pytest.fixture
def no_network(monkeypatch):
  def refuse(*args, **kwargs):
    raise AssertionError("the network was asked")

  monkeypatch.setattr(socket, "create_connection", refuse)
  monkeypatch.setattr(socket, "getaddrinfo", refuse)
  monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def no_tfds(monkeypatch):
  monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)  # importing it fails


@pytest.fixture
def tiny(tiny_data_dir, tmp_path) -> Path:
  """A copy of the tiny set, to be damaged."""
  return shutil.copytree(tiny_data_dir, tmp_path / "data")


def sorted_rows(x: np.ndarray, y: np.ndarray) -> list[tuple[int, ...]]:
  return sorted(map(tuple, np.concatenate([x.reshape(len(x), -1), y[:, None]], axis=1)))


def assert_equal(one, other):
  assert one.splits.keys() == other.splits.keys()
  assert one.classes == other.classes
  for name, split in one.splits.items():
    for array, expected in ((split.x, other.splits[name].x), (split.y, other.splits[name].y)):
      assert array.dtype == expected.dtype
      np.testing.assert_array_equal(array, expected)


def test_a_set_that_tfds_wrote_is_read_image_by_image(tiny, tiny_builder, tmp_path, no_network):
  dataset = load_tfds("tiny", tiny, tmp_path / "cache")
  assert dataset.name == "tiny"
  assert dataset.classes == ("even", "odd")
  for split, images in tiny_builder.images.items():
    ours = dataset.splits[split]
    assert (ours.x.dtype, ours.y.dtype) == (np.uint8, np.int32)
    labels = images.reshape(len(images), -1).sum(1) % 2
    assert sorted_rows(ours.x, ours.y) == sorted_rows(images.astype(int), labels.astype(int))


def test_the_second_load_needs_no_tfds(tiny, tmp_path, request):
  first = load_tfds("tiny", tiny, tmp_path / "cache")
  request.getfixturevalue("no_tfds")
  assert_equal(load_tfds("tiny", tiny, tmp_path / "cache"), first)


def test_a_damaged_cache_is_decoded_again_and_mended(tiny, tmp_path, request, caplog):
  first = load_tfds("tiny", tiny, tmp_path / "cache")
  (cached,) = (tmp_path / "cache").glob("tiny-1.0.0-*/train_x.npy")
  content = bytearray(cached.read_bytes())
  content[-1] ^= 1
  cached.write_bytes(content)
  assert_equal(load_tfds("tiny", tiny, tmp_path / "cache"), first)
  assert "train_x.npy is damaged: its SHA-256 is not the one" in caplog.text
  request.getfixturevalue("no_tfds")
  assert_equal(load_tfds("tiny", tiny, tmp_path / "cache"), first)


def test_a_cache_that_cannot_be_written_only_costs_time(tiny, tmp_path, caplog):
  (tmp_path / "file").write_text("not a directory")
  assert len(load_tfds("tiny", tiny, tmp_path / "file").train) == 2500
  assert "cannot be cached" in caplog.text


@pytest.mark.slow
def test_other_files_under_the_same_name_and_version_are_not_served_from_the_cache(
  tiny, tiny_builder, tmp_path, monkeypatch
):
  first = load_tfds("tiny", tiny, tmp_path / "cache")
  other = {split: 255 - images for split, images in tiny_builder.images.items()}
  monkeypatch.setattr(tiny_builder, "images", other)
  tiny_builder(data_dir=tmp_path / "other", file_format="array_record").download_and_prepare()
  second = load_tfds("tiny", tmp_path / "other", tmp_path / "cache")
  assert first.train.x.shape == second.train.x.shape
  assert not np.array_equal(first.train.x, second.train.x)


def test_a_flipped_byte_in_the_records_is_said_in_one_sentence(tiny, tmp_path):
  (records,) = tiny.glob("tiny/1.0.0/*train.array_record*")
  content = bytearray(records.read_bytes())
  content[len(content) // 2] ^= 1
  records.write_bytes(content)
  with pytest.raises(ValueError, match=r"^tiny in .*1\.0\.0 cannot be decoded, .*hash mismatch"):
    load_tfds("tiny", tiny, tmp_path / "cache")


@pytest.mark.parametrize("file", ["dataset_info.json", "tiny-test.array_record-00000-of-00001"])
def test_a_missing_file_is_said_in_one_sentence(tiny, tmp_path, file):
  (tiny / "tiny" / "1.0.0" / file).unlink()
  with pytest.raises(ValueError, match=r"tiny in .* cannot be decoded, its files are damaged or"):
    load_tfds("tiny", tiny, tmp_path / "cache")


def test_a_set_that_is_missing_is_said_at_once_with_what_to_run(
  tmp_path, monkeypatch, no_network, no_tfds
):
  monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
  with pytest.raises(FileNotFoundError) as caught:
    load("mnist")
  assert str(caught.value) == (
    f"mnist is not prepared in {tmp_path}: set TFDS_DATA_DIR to the directory that has it, or "
    "run: pip install tensorflow importlib_resources && "
    "python -m robust_saliency.data prepare mnist"
  )


def test_the_command_that_prepares_names_the_directory_that_was_asked_for(tmp_path, no_tfds):
  with pytest.raises(FileNotFoundError, match=f"prepare cifar10 --data_dir={tmp_path}$"):
    load("cifar10", data_dir=tmp_path)


def test_a_download_that_was_cut_off_counts_as_missing(tmp_path):
  folder = tmp_path / "mnist" / "incomplete.ABC123_3.0.1"
  folder.mkdir(parents=True)
  (folder / "mnist-train.array_record-00000-of-00001").touch()
  with pytest.raises(FileNotFoundError, match="mnist is not prepared"):
    find("mnist", tmp_path)


def make_version(data_dir: Path, version: str, form: str) -> Path:
  folder = data_dir / "mnist" / version
  folder.mkdir(parents=True)
  (folder / f"mnist-train.{form}-00000-of-00001").touch()
  return folder


def test_the_newest_version_is_found(tmp_path):
  for version in ("3.0.9", "3.0.10", "2.11.0"):
    make_version(tmp_path, version, "array_record")
  make_version(tmp_path, "4.0.0", "tfrecord")
  assert find("mnist", tmp_path) == tmp_path / "mnist" / "3.0.10"


def test_a_set_prepared_as_tfrecord_is_said_to_be_so_by_load_and_by_prepare(tmp_path, no_tfds):
  folder = make_version(tmp_path, "3.0.1", "tfrecord")
  for call in (lambda: load("mnist", data_dir=tmp_path), lambda: prepare("mnist", tmp_path)):
    with pytest.raises(FileNotFoundError, match=f"mnist in {folder} is prepared as TFRECORD"):
      call()


def test_the_data_directory_is_the_argument_then_the_environment(monkeypatch):
  monkeypatch.setenv("HOME", "/home/ada")
  monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
  assert data_directory() == Path("/home/ada/tensorflow_datasets")
  monkeypatch.setenv("TFDS_DATA_DIR", "/data")
  assert data_directory() == Path("/data")
  assert data_directory("~/sets") == Path("/home/ada/sets")


def test_prepare_has_tfds_write_array_record(tiny_builder, tmp_path, monkeypatch):
  # The tiny set hands TFDS its PNGs encoded, so TFDS needs no TensorFlow to write it.
  monkeypatch.setattr(importlib.util, "find_spec", lambda module: object())
  assert prepare("tiny", tmp_path) == tmp_path / "tiny" / "1.0.0"
  assert len(load_tfds("tiny", tmp_path, tmp_path / "cache").train) == 2500


def test_prepare_without_its_extra_says_what_to_install(tmp_path, monkeypatch):
  monkeypatch.setattr(importlib.util, "find_spec", lambda module: None)
  with pytest.raises(ModuleNotFoundError, match="run: pip install tensorflow importlib_resources"):
    prepare("mnist", tmp_path)


def test_prepare_leaves_a_prepared_set_alone(tiny, no_tfds):
  assert prepare("tiny", tiny) == tiny / "tiny" / "1.0.0"


def test_reading_prints_nothing_and_imports_no_tensorflow(tiny, tmp_path):
  program = (
    "import sys; from robust_saliency.data.tfds_sets import load_tfds; "
    f"load_tfds('tiny', {str(tiny)!r}, {str(tmp_path / 'cache')!r}); "
    "assert 'tensorflow_datasets' in sys.modules and 'tensorflow' not in sys.modules"
  )
  done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
  assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# What is known of the real sets: LeCun's class counts, and the first labels in TFDS's order.
MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture(scope="session")
def real_cache(tmp_path_factory):
  return tmp_path_factory.mktemp("cache")


@pytest.mark.slow
def test_mnist_is_lecuns(real_data_dir, real_cache, no_network, monkeypatch):
  mnist = load("mnist", data_dir=real_data_dir, cache_dir=real_cache)
  assert mnist.train.x.shape == (60000, 28, 28, 1)
  assert mnist.test.x.shape == (10000, 28, 28, 1)
  assert mnist.classes == tuple("0123456789")
  assert np.bincount(mnist.train.y).tolist() == MNIST_TRAIN
  assert np.bincount(mnist.test.y).tolist() == MNIST_TEST
  assert mnist.test.y[:10].tolist() == [2, 0, 4, 8, 7, 6, 0, 6, 3, 1]
  # The mean and deviation with which PyTorch's examples normalise MNIST.
  pixels = mnist.train.x.astype(np.float64) / 255
  np.testing.assert_allclose([pixels.mean(), pixels.std()], [0.1307, 0.3081], atol=5e-5)

  monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
  assert_equal(load("mnist", data_dir=real_data_dir, cache_dir=real_cache), mnist)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_the_other_sets_are_balanced(name, real_data_dir, real_cache):
  if not (real_data_dir / name).is_dir():
    pytest.skip(f"{name} is not prepared in {real_data_dir}")
  dataset = load(name, data_dir=real_data_dir, cache_dir=real_cache)
  for split in dataset.splits.values():
    assert np.bincount(split.y).tolist() == [len(split) // 10] * 10
  assert len(dataset.classes) == 10


FEATURES = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
EVIL = {"type": "evil_module.Image", "content": {}}


@pytest.mark.parametrize(
  "features",
  [
    lambda text: text.replace("tensorflow_datasets.core.features.image_feature", "evil_module"),
    # The form of older versions, which TFDS reads, too,
    lambda text: json.dumps({"type": FEATURES, "content": {"image": EVIL}}),
    # and features that bring JSON of their own.
    lambda text: json.dumps(
      {"pythonClassName": FEATURES, "jsonFeature": {"json": json.dumps({"image": EVIL})}}
    ),
  ],
)
def test_a_folder_cannot_name_code_to_be_imported(tiny, tmp_path, monkeypatch, features):
  folder = tmp_path / "tiny" / "1.0.0"
  shutil.copytree(find("tiny", tiny), folder)
  (tmp_path / "evil_module.py").write_text("raise SystemExit('imported')")
  monkeypatch.syspath_prepend(tmp_path)
  path = folder / "features.json"
  changed = features(path.read_text())
  assert changed != path.read_text()
  path.write_text(changed)
  with pytest.raises(ValueError, match=r"names the class 'evil_module.Image', which is not one"):
    load_tfds("tiny", tmp_path, tmp_path / "cache")
  assert "evil_module" not in sys.modules


def as_pipe(path):
  path.unlink()
  os.mkfifo(path)


def as_huge(path):
  with path.open("r+b") as file:
    file.truncate(10 * 2**30)  # sparse: it takes no room


@pytest.mark.parametrize("file", ["features.json", "dataset_info.json"])
@pytest.mark.parametrize(
  ("damage", "sentence"),
  [
    (as_pipe, r"\.json must be a file, got a pipe, a socket or a device"),
    (as_huge, r"\.json must have at most \d+ bytes"),
    (lambda path: path.write_text("[" * 100_000), "cannot be (read|decoded)"),
  ],
)
def test_a_description_that_is_none_is_refused_at_once(tiny, tmp_path, file, damage, sentence):
  damage(tiny / "tiny" / "1.0.0" / file)
  with pytest.raises(ValueError, match=sentence):
    load_tfds("tiny", tiny, tmp_path / "cache")
