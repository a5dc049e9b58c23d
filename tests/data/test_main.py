import dataclasses

import pytest

from robust_saliency import data
from robust_saliency.data.__main__ import main
from robust_saliency.data.catalogue import CATALOGUE


def test_an_unknown_set_is_refused_with_the_nearest_name():
  with pytest.raises(ValueError, match=r"name must be one of digits, .* got 'minst' .*'mnist'"):
    data.load("minst")


@pytest.fixture(autouse=True)
def no_notmnist(monkeypatch):
  monkeypatch.delenv("NOTMNIST", raising=False)


def test_every_set_is_listed_with_its_state(tmp_path, capsys):
  (tmp_path / "mnist" / "3.0.1").mkdir(parents=True)
  (tmp_path / "mnist" / "3.0.1" / "mnist-test.array_record-00000-of-00001").touch()
  main([f"--data_dir={tmp_path}"])
  lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
  assert tuple(lines) == data.names()
  assert lines["digits"] == "comes with the package"
  assert lines["mnist"] == f"prepared in {tmp_path}/mnist/3.0.1"
  assert lines["cifar10"] == lines["svhn"] == f"not prepared in {tmp_path}"
  assert lines["notmnist"].startswith(f"missing: notmnist is not in {tmp_path}, and nothing")


def test_a_file_that_the_user_has_is_listed_with_its_path(tmp_path, monkeypatch, capsys):
  (tmp_path / "letters.npz").touch()
  monkeypatch.setenv("NOTMNIST", str(tmp_path / "letters.npz"))
  for command in ([], ["prepare", "notmnist"]):
    main(command)
    assert f"in {tmp_path}/letters.npz" in capsys.readouterr().out


def test_preparing_what_nothing_downloads_says_where_to_put_it(tmp_path):
  with pytest.raises(SystemExit, match="nothing downloads it: set NOTMNIST to the path of an"):
    main(["prepare", "notmnist", f"--data_dir={tmp_path}"])


def test_the_directory_may_stand_before_the_command_or_after_it(tmp_path, capsys):
  main([f"--data_dir={tmp_path}", "list"])
  before = capsys.readouterr().out
  main(["list", f"--data_dir={tmp_path}"])
  assert capsys.readouterr().out == before
  assert str(tmp_path) in before


def test_what_comes_with_the_package_needs_no_preparation(capsys):
  main(["prepare", "digits"])
  assert capsys.readouterr().out == "digits  comes with the package\n"


def test_preparing_an_unknown_set_ends_in_one_sentence():
  with pytest.raises(SystemExit, match=r"name must be one of .* got 'cifar' .*'cifar10'"):
    main(["prepare", "cifar"])


def test_a_failed_download_ends_in_one_sentence(monkeypatch):
  def fail(data_dir):
    raise ConnectionError("no route to host")

  unreachable = dataclasses.replace(CATALOGUE["mnist"], prepare=fail)
  monkeypatch.setitem(CATALOGUE, "mnist", unreachable)
  with pytest.raises(SystemExit, match="no route to host"):
    main(["prepare", "mnist"])
