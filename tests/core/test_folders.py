"""Whose a folder is for the moment, and that nothing in it leads elsewhere."""

import os
import re

import pytest

from robust_saliency.core import folders
from robust_saliency.core.files import DamagedFileError


def as_link(path, secret):
  path.symlink_to(secret)


def as_hard_link(path, secret):
  path.hardlink_to(secret)


def as_pipe(path, secret):
  os.mkfifo(path)


def as_folder(path, secret):
  path.mkdir()


@pytest.mark.parametrize("make", [as_link, as_hard_link, as_pipe, as_folder])
def test_what_is_no_lock_is_not_written_to(tmp_path, make):
  secret, lock = tmp_path / "secret", tmp_path / ".lock"
  secret.write_text("precious")
  make(lock, secret)
  with pytest.raises(OSError, match=r"\.lock'"), folders.locked(lock):
    pytest.fail("the lock was taken")
  assert secret.read_text() == "precious"


def test_a_lock_is_taken_whatever_an_earlier_process_has_left_in_it(tmp_path):
  lock = tmp_path / ".lock"
  lock.write_bytes(b"\xff" * 1000)
  with folders.locked(lock):
    assert re.fullmatch(rf"{os.getpid()} on \S+\n", lock.read_text())
    used = pytest.raises(BlockingIOError, match=f"process {os.getpid()} on .* is using it")
    with used, folders.locked(lock):
      pytest.fail("the lock was taken twice")


def test_a_link_to_a_folder_is_refused_however_deep_it_lies(tmp_path):
  outside, inside = tmp_path / "outside", tmp_path / "run" / "models" / "standard"
  outside.mkdir()
  inside.mkdir(parents=True)
  folders.refuse_linked_folders(tmp_path / "run")
  (inside / "checkpoints").symlink_to(outside)
  with pytest.raises(DamagedFileError, match=rf"standard/checkpoints is a link .*, {outside}, and"):
    folders.refuse_linked_folders(tmp_path / "run")


def test_links_to_files_and_to_nothing_and_the_folder_s_own_pass(tmp_path):
  (tmp_path / "run").mkdir()
  (tmp_path / "file").touch()
  (tmp_path / "run" / "notes").symlink_to(tmp_path / "file")
  (tmp_path / "run" / "broken").symlink_to(tmp_path / "nothing")
  (tmp_path / "current").symlink_to(tmp_path / "run")
  folders.refuse_linked_folders(tmp_path / "current")
  folders.refuse_linked_folders(tmp_path / "not there")


@pytest.mark.parametrize("name", ["file", "file/deeper"])
def test_where_nothing_could_be_written_is_refused_by_its_path(tmp_path, name):
  folders.refuse_unwritable(tmp_path / "new" / "folder")
  assert list((tmp_path / "new" / "folder").iterdir()) == []
  (tmp_path / "file").touch()
  with pytest.raises(OSError, match=f"{tmp_path / name}'$"):
    folders.refuse_unwritable(tmp_path / name)


def test_a_tree_is_removed_and_a_link_to_one_is_left(tmp_path):
  (tmp_path / "tree" / "deep").mkdir(parents=True)
  (tmp_path / "link").symlink_to(tmp_path / "tree")
  folders.remove_tree(tmp_path / "link")
  folders.remove_tree(tmp_path / "not there")
  assert (tmp_path / "tree" / "deep").exists()
  folders.remove_tree(tmp_path / "tree")
  assert not (tmp_path / "tree").exists()
