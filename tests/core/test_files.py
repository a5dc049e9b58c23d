import csv
import errno
import io
import json
import os
import stat
import zipfile

import numpy as np
import pytest

from robust_saliency.core import files


def test_a_file_replaces_an_older_one_and_leaves_nothing_else(tmp_path):
  path = tmp_path / "new folder" / "file.txt"
  files.write_bytes(path, b"old and long")
  files.write_bytes(path, b"new")
  assert path.read_bytes() == b"new"
  assert os.listdir(path.parent) == ["file.txt"]
  assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing_else(tmp_path, monkeypatch):
  path = files.write_bytes(tmp_path / "file.txt", b"old")

  def full_disk(*_):
    raise OSError("no space left on device")

  monkeypatch.setattr(os, "replace", full_disk)
  with pytest.raises(OSError, match="no space"):
    files.write_bytes(path, b"new")
  assert path.read_bytes() == b"old"
  assert os.listdir(tmp_path) == ["file.txt"]


@pytest.mark.parametrize("small", [False, True])
def test_arrays_come_back_from_an_archive_that_holds_no_date(small):
  arrays = {"correct": np.array([[True, False]]), "maps": np.linspace(0, 1, 5, dtype=np.float32)}
  archive = files.npz(arrays, small=small)
  assert archive == files.npz(arrays, small=small)
  loaded = np.load(io.BytesIO(archive), allow_pickle=False)
  for name, expected in arrays.items():
    np.testing.assert_array_equal(loaded[name], expected)
    assert loaded[name].dtype == expected.dtype
  with zipfile.ZipFile(io.BytesIO(archive)) as members:
    assert {member.date_time for member in members.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_small_archive_takes_fewer_bytes():
  masks = np.random.default_rng(0).random((20, 2000)) < 0.1
  assert len(files.npz({"correct": masks}, small=True)) < len(files.npz({"correct": masks}))


@pytest.mark.parametrize("small", [False, True])
def test_python_objects_are_refused_rather_than_pickled(small):
  with pytest.raises(TypeError, match="'labels' must hold numbers or text, got Python objects"):
    files.npz({"labels": np.array([{}, None])}, small=small)


def test_json_is_strict_and_keeps_numbers():
  value = {"a": np.float32(0.5), "b": [np.nan, np.inf, 3], "c": (True, None), "d": "ε", 5: "x"}
  text = files.json_text(value)
  assert json.loads(text, parse_constant=lambda name: pytest.fail(name)) == {
    "a": 0.5,
    "b": [None, None, 3],
    "c": [True, None],
    "d": "ε",
    "5": "x",
  }


def test_csv_gives_back_text_and_floats_unchanged():
  rows = [['quotes " and, commas', 1 / 3], ["two\nlines", 1e-30]]
  text = files.csv_text(["name", "value"], rows)
  header, *read = csv.reader(io.StringIO(text))
  assert header == ["name", "value"]
  assert [[name, float(value)] for name, value in read] == rows


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "???", "CON", "a" * 300, "ä/ö\\ü", ".x"])
def test_a_slug_is_a_plain_short_file_name(name):
  slug = files.slug(name)
  assert 0 < len(slug) <= 60
  assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_slugs_stay_apart_even_from_names_that_look_numbered():
  assert files.unique_slugs(["A", "a-2", "a", "a"]) == ["a", "a-2", "a-3", "a-4"]


class KilledError(BaseException):
  pass


@pytest.mark.parametrize("calls", [1, 2])
def test_a_kill_between_a_file_and_its_digest_leaves_a_file_that_verifies(
  tmp_path, monkeypatch, calls
):
  path = files.write_with_digest(tmp_path / "config.json", b"old")
  write_bytes, done = files.write_bytes, []

  def killed(*arguments):
    if len(done) == calls:
      raise KilledError
    done.append(write_bytes(*arguments))
    return done[-1]

  monkeypatch.setattr(files, "write_bytes", killed)
  with pytest.raises(KilledError):
    files.write_with_digest(path, b"new")
  assert files.read_verified(path) == (b"old" if calls == 1 else b"new")


def as_link(path):
  path.rename(path.with_name("elsewhere"))
  path.symlink_to(path.with_name("elsewhere"))


def as_pipe(path):
  path.unlink()
  os.mkfifo(path)


def as_folder(path):
  path.unlink()
  path.mkdir()


def as_huge(path):
  with path.open("r+b") as file:
    file.truncate(10 * 2**30)  # sparse: it takes no room


@pytest.mark.parametrize("damage", [as_link, as_pipe, as_folder, as_huge])
@pytest.mark.parametrize("suffix", ["", ".sha256"])
def test_what_is_no_file_or_far_too_large_is_refused_at_once(tmp_path, damage, suffix):
  path = files.write_with_digest(tmp_path / "a.json", b"{}")
  damage(tmp_path / f"a.json{suffix}")
  with pytest.raises(files.DamagedFileError, match=rf"a\.json{suffix} (is no file|has \d+ bytes)"):
    files.read_verified(path, most=files.LARGEST_TEXT)


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_written_through(tmp_path):
  secret, path = tmp_path / "secret", tmp_path / "report.html"
  secret.write_text("precious")
  path.symlink_to(secret)
  files.write_with_digest(path, b"page")
  assert secret.read_text() == "precious"
  assert path.read_bytes() == b"page"
  assert not path.is_symlink()


def test_an_error_of_the_system_names_the_file(tmp_path, monkeypatch):
  def too_large(*_):
    raise OSError(errno.EFBIG, "File too large")

  monkeypatch.setattr(os, "replace", too_large)
  with pytest.raises(OSError, match=r"^\[Errno 27\] File too large: '.*/report\.html'$"):
    files.write_bytes(tmp_path / "report.html", b"page")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o027, 0o640)])
def test_files_follow_the_umask(tmp_path, umask, mode):
  before = os.umask(umask)
  try:
    path = files.write_bytes(tmp_path / "report.html", b"page")
  finally:
    os.umask(before)
  assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "\n=1"])
def test_text_that_a_spreadsheet_would_compute_stays_text(cell):
  text = io.StringIO(files.csv_text(["model", cell], [[cell, -0.5]]), newline="")
  assert list(csv.reader(text)) == [["model", f"'{cell}"], [f"'{cell}", "-0.5"]]


@pytest.mark.parametrize("cell", [map, object(), [1.0], {"a": 1}, np.zeros(2)])
def test_a_cell_that_is_neither_text_nor_a_number_is_refused(cell):
  with pytest.raises(TypeError, match="cells must be text or numbers, got"):
    files.csv_text(["cell"], [[cell]])
