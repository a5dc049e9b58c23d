"""A finished run that is given again ends at once, but only where nothing has changed."""

import json
import os

import numpy as np
import pytest

from robust_saliency.command_line import finished
from robust_saliency.configs import ordered

CONFIG = {"title": "T", "dataset": {"name": "digits"}, "claims": "c.toml", "seeds": (0, 1)}


class Run:
  """A finished run's directory, its config, and the other things that it follows from."""

  def __init__(self, folder):
    self.workdir, self.folder = folder / "run", folder
    self.config, self.argv, self.data_dir = CONFIG, ["--workdir=run"], None
    (self.workdir / "models" / "a").mkdir(parents=True)
    (self.workdir / "models" / "a" / "weights").write_bytes(bytes(100))
    (self.workdir / "report.html").write_text("page")
    (folder / "c.toml").write_text("claims")

  @property
  def given(self):
    own = {"folder": self.folder, "data_dir": self.data_dir, "argv": self.argv}
    return {"workdir": self.workdir, "config": ordered(self.config), **own}


@pytest.fixture
def run(tmp_path):
  made = Run(tmp_path)
  finished.note(**made.given)
  return made


def test_nothing_has_changed(run):
  assert finished.is_as_noted(**run.given)
  (run.workdir / ".lock").write_text("another run has looked at it")
  assert finished.is_as_noted(**run.given)


def write(name, content):
  return lambda run: (run.workdir / name).write_bytes(content)


def replace_by_a_link(run):
  path = run.workdir / "report.html"
  path.rename(run.folder / "elsewhere.html")
  path.symlink_to(run.folder / "elsewhere.html")


def link_a_folder(run):
  (run.workdir / "models").rename(run.folder / "models")
  (run.workdir / "models").symlink_to(run.folder / "models")


def link_the_record(run):
  path = run.workdir / finished.RECORD
  path.rename(run.folder / "record")
  path.symlink_to(run.folder / "record")


CHANGES = {
  "a bit of a file": write("models/a/weights", bytes(99) + b"\1"),
  "a file more": write("models/a/more", b""),
  "an evaluation more": lambda run: (
    (run.workdir / "evaluations").mkdir() or (run.workdir / "evaluations" / "a.json").touch()
  ),
  "a file less": lambda run: (run.workdir / "report.html").unlink(),
  "no record": lambda run: (run.workdir / finished.RECORD).unlink(),
  "a record that is none": write(finished.RECORD, b"{"),
  "a record of another form": write(finished.RECORD, b"[]"),
  "a record that is no text": write(finished.RECORD, b"\xff"),
  "a record too deep for Python": write(finished.RECORD, b"[" * 100_000),
  "a link to a file": replace_by_a_link,
  "a link to a folder": link_a_folder,
  "a link to a record": link_the_record,
  "a pipe": lambda run: os.mkfifo(run.workdir / "pipe"),
  "no directory": lambda run: setattr(run, "workdir", run.folder / "none"),
  "a benchmark beside the tables": lambda run: (run.folder / "step_costs.json").write_text("{}"),
  "a table": lambda run: (run.folder / "c.toml").write_text("other claims"),
  "no table": lambda run: (run.folder / "c.toml").unlink(),
  "the command line": lambda run: run.argv.append("--rerun_changed"),
  "a field": lambda run: setattr(run, "config", {**CONFIG, "seeds": (0, 2)}),
  "the order of fields": lambda run: setattr(run, "config", dict(reversed(CONFIG.items()))),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_has_changed_is_seen(run, change):
  change(run)
  assert not finished.is_as_noted(**run.given)


def test_benchmarks_of_the_repository_around_the_tables_are_seen(tmp_path):
  results = tmp_path / "benchmarks" / "results"
  results.mkdir(parents=True)
  (tmp_path / "experiments").mkdir()
  run = Run(tmp_path / "experiments")
  finished.note(**run.given)
  assert finished.is_as_noted(**run.given)
  (results / "step_costs.json").write_text("{}")
  assert not finished.is_as_noted(**run.given)


def test_tables_are_found_beside_the_config_whatever_folder_they_are_given_with(tmp_path):
  run = Run(tmp_path)
  run.config = {**CONFIG, "claims": "experiments/c.toml"}
  finished.note(**run.given)
  assert finished.is_as_noted(**run.given)
  (tmp_path / "c.toml").write_text("other claims")
  assert not finished.is_as_noted(**run.given)


def test_another_state_of_the_package_or_of_a_library_is_seen(run, monkeypatch):
  monkeypatch.setattr(finished, "_of_package", lambda: "other code")
  assert not finished.is_as_noted(**run.given)
  monkeypatch.undo()
  monkeypatch.setattr(finished.metadata, "version", lambda name: f"another {name}")
  assert not finished.is_as_noted(**run.given)


def test_other_images_under_the_same_name_are_seen(tmp_path):
  def keep(value, of_validation=5):
    x, y = np.full((4, 2, 2, 1), value, np.uint8), np.arange(4) % 2
    validation = {"x_validation": np.full_like(x, of_validation), "y_validation": y}
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x, y_test=y, **validation)

  keep(3)
  run = Run(tmp_path)
  run.config = {**CONFIG, "dataset": {"name": "npz", "path": str(tmp_path / "own.npz")}}
  finished.note(**run.given)
  assert finished.is_as_noted(**run.given)
  keep(4)
  assert not finished.is_as_noted(**run.given)
  keep(3, of_validation=6)
  assert not finished.is_as_noted(**run.given)
  (tmp_path / "own.npz").unlink()
  assert not finished.is_as_noted(**run.given)


def test_nothing_is_noted_of_a_directory_that_links_lead_out_of(tmp_path):
  run = Run(tmp_path)
  link_a_folder(run)
  finished.note(**run.given)
  assert not (run.workdir / finished.RECORD).exists()


def test_the_record_names_every_file(run):
  noted = json.loads((run.workdir / finished.RECORD).read_text())
  assert list(noted["files"]) == ["models/a/weights", "report.html"]
