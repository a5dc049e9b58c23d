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


@pytest.fixture
def said_at_the_end(capsys):
  """What the command says of these arguments as it ends with the code of all our commands."""

  def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
      main(arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err

  return run


def test_preparing_what_nothing_downloads_says_where_to_put_it(tmp_path, said_at_the_end):
  said = said_at_the_end("prepare", "notmnist", f"--data_dir={tmp_path}")
  assert "nothing downloads it: set NOTMNIST to the path of an" in said


def test_the_directory_may_stand_before_the_command_or_after_it(tmp_path, capsys):
  main([f"--data_dir={tmp_path}", "list"])
  before = capsys.readouterr().out
  main(["list", f"--data_dir={tmp_path}"])
  assert capsys.readouterr().out == before
  assert str(tmp_path) in before


def test_what_comes_with_the_package_needs_no_preparation(capsys):
  main(["prepare", "digits"])
  assert capsys.readouterr().out == "digits  comes with the package\n"


def test_preparing_an_unknown_set_ends_in_one_sentence(said_at_the_end):
  said = said_at_the_end("prepare", "cifar")
  assert said.startswith("error: name must be one of ")
  assert "got 'cifar' (did you mean 'cifar10'" in said
  assert said.count("\n") == 1


def test_a_failed_download_ends_in_one_sentence(monkeypatch, said_at_the_end):
  def fail(data_dir):
    raise ConnectionError("no route to host")

  unreachable = dataclasses.replace(CATALOGUE["mnist"], prepare=fail)
  monkeypatch.setitem(CATALOGUE, "mnist", unreachable)
  assert said_at_the_end("prepare", "mnist") == "error: no route to host\n"


@pytest.mark.parametrize(
  ("arguments", "sentence"),
  [
    (["nope"], "invalid choice: 'nope'"),
    (["prepare"], "required: name"),
    (["prepare", "digits", "mnist"], "unrecognized arguments: mnist"),
    (["--data_dir"], "expected one argument"),
    (["--nope"], "unrecognized arguments: --nope"),
  ],
)
def test_a_mistake_on_the_command_line_ends_in_one_sentence(said_at_the_end, arguments, sentence):
  said = said_at_the_end(*arguments)
  assert said.startswith("error: ")
  assert sentence in said
  assert said.count("\n") == 1
