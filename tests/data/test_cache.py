import logging
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from robust_saliency.data import cache

ARRAYS = {
  "x": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
  "y": np.array([1, -1], np.int32),
  "classes": np.array(["T-shirt", "dress"]),
}


def test_what_is_written_is_read_again(tmp_path):
  cache.write(tmp_path / "entry", ARRAYS)
  arrays = cache.read(tmp_path / "entry", ARRAYS)
  assert list(arrays) == list(ARRAYS)
  for name, array in arrays.items():
    assert array.dtype == ARRAYS[name].dtype
    np.testing.assert_array_equal(array, ARRAYS[name])


def test_the_digests_are_in_the_form_of_sha256sum(tmp_path):
  cache.write(tmp_path, ARRAYS)
  digests = sorted(path.name for path in tmp_path.glob("*.sha256"))
  checked = subprocess.run(
    ["sha256sum", "--check", *digests], cwd=tmp_path, capture_output=True, text=True, check=True
  )
  assert checked.stdout.split() == ["classes.npy:", "OK", "x.npy:", "OK", "y.npy:", "OK"]


def test_nothing_but_arrays_and_digests_is_left_in_an_entry(tmp_path):
  cache.write(tmp_path, ARRAYS)
  assert {path.suffix for path in tmp_path.iterdir()} == {".npy", ".sha256"}
  assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize("missing", ["x.npy", "classes.npy"])
def test_an_entry_that_was_not_finished_counts_as_missing(tmp_path, missing, caplog):
  cache.write(tmp_path, ARRAYS)
  (tmp_path / missing).unlink()
  assert cache.read(tmp_path, ARRAYS) is None
  assert not caplog.records


def flip_every_bit_in_turn(path: Path):
  content = path.read_bytes()
  for bit in range(len(content) * 8):
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    yield bytes(damaged)


def test_any_flipped_bit_is_noticed(tmp_path, caplog):
  cache.write(tmp_path, ARRAYS)
  for damaged in flip_every_bit_in_turn(tmp_path / "y.npy"):
    (tmp_path / "y.npy").write_bytes(damaged)
    assert cache.read(tmp_path, ARRAYS) is None
  assert "y.npy is damaged: its SHA-256 is not the one that was written" in caplog.text


def test_any_flipped_bit_of_a_digest_is_noticed(tmp_path, caplog):
  cache.write(tmp_path, ARRAYS)
  written = (tmp_path / "y.npy.sha256").read_bytes()
  for damaged in flip_every_bit_in_turn(tmp_path / "y.npy.sha256"):
    (tmp_path / "y.npy.sha256").write_bytes(damaged)
    if damaged[:64] != written[:64]:  # the name behind the digest says nothing of the content
      assert cache.read(tmp_path, ARRAYS) is None
  assert "y.npy is damaged" in caplog.text


def test_an_array_without_a_digest_is_not_trusted(tmp_path, caplog):
  cache.write(tmp_path, ARRAYS)
  (tmp_path / "x.npy.sha256").unlink()
  assert cache.read(tmp_path, ARRAYS) is None
  assert "x.npy cannot be trusted" in caplog.text


def test_a_truncated_file_is_noticed(tmp_path):
  cache.write(tmp_path, ARRAYS)
  content = (tmp_path / "x.npy").read_bytes()
  for length in range(len(content)):
    (tmp_path / "x.npy").write_bytes(content[:length])
    assert cache.read(tmp_path, ARRAYS) is None


def test_a_pickle_is_never_loaded(tmp_path, caplog):
  content = np.array([{"a": 1}], dtype=object)
  np.save(tmp_path / "x.npy", content, allow_pickle=True)
  digest = subprocess.run(
    ["sha256sum", "x.npy"], cwd=tmp_path, capture_output=True, text=True, check=True
  )
  (tmp_path / "x.npy.sha256").write_text(digest.stdout)
  assert cache.read(tmp_path, ["x"]) is None
  assert "allow_pickle=False" in caplog.text


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, caplog):
  (tmp_path / "file").write_text("not a directory")
  cache.write(tmp_path / "file" / "entry", ARRAYS)
  assert [record.levelno for record in caplog.records] == [logging.WARNING]
  assert "cannot be cached" in caplog.text


def test_a_full_disk_leaves_the_old_file_and_no_remains(tmp_path, monkeypatch, caplog):
  cache.write(tmp_path, {"y": ARRAYS["y"]})
  real_replace = os.replace

  def replace(source, target):
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(os, "replace", replace)
  cache.write(tmp_path, {"y": np.zeros(9)})
  monkeypatch.setattr(os, "replace", real_replace)
  np.testing.assert_array_equal(cache.read(tmp_path, ["y"])["y"], ARRAYS["y"])
  assert sorted(path.name for path in tmp_path.iterdir()) == ["y.npy", "y.npy.sha256"]
  assert "No space left on device" in caplog.text


def test_the_cache_is_where_the_argument_then_the_environment_says(monkeypatch):
  monkeypatch.setenv("HOME", "/home/ada")
  monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
  monkeypatch.delenv("ROBUST_SALIENCY_CACHE", raising=False)
  assert cache.cache_directory() == Path("/home/ada/.cache/robust_saliency")
  monkeypatch.setenv("XDG_CACHE_HOME", "/var/ada")
  assert cache.cache_directory() == Path("/var/ada/robust_saliency")
  monkeypatch.setenv("ROBUST_SALIENCY_CACHE", "~/arrays")
  assert cache.cache_directory() == Path("/home/ada/arrays")
  assert cache.cache_directory("/tmp/arrays") == Path("/tmp/arrays")
