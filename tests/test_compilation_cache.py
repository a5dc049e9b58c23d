"""The cache of compiled programs: on by default, and only where nobody else can write."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from absl.flags import FLAGS

from robust_saliency.command_line import command
from robust_saliency.command_line.compilation_cache import (
  SWITCH,
  folder_in_use,
  own_folder,
  remove_oldest,
  use_compilation_cache,
)

VARIABLES = (
  "JAX_COMPILATION_CACHE_DIR",
  "JAX_ENABLE_COMPILATION_CACHE",
  "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
  "TF_CPP_MIN_LOG_LEVEL",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path):
  tmp_path.chmod(0o700)
  monkeypatch.setattr(os, "environ", {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)})


def mode(path):
  return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_the_users_own_whatever_the_umask(tmp_path):
  before = os.umask(0)
  try:
    folder = own_folder()
  finally:
    os.umask(before)
  assert tmp_path in folder.parents
  assert mode(folder) == 0o700
  assert mode(folder.parent) == 0o700
  assert folder == own_folder()


def test_without_xdg_cache_home_or_with_a_relative_one_it_is_in_the_home(monkeypatch, tmp_path):
  home = tmp_path / "home"
  home.mkdir(mode=0o755)
  monkeypatch.setenv("HOME", str(home))
  for value in ("", "caches"):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert home / ".cache" in own_folder().parents


def test_jax_is_told_of_it():
  assert folder_in_use() is None
  use_compilation_cache()
  assert folder_in_use() == own_folder()
  assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(own_folder())


@pytest.mark.parametrize(
  "chosen",
  [
    {SWITCH: "off"},
    {SWITCH: "0"},
    {"JAX_COMPILATION_CACHE_DIR": "/somewhere"},
    {"JAX_COMPILATION_CACHE_DIR": ""},
    {"JAX_ENABLE_COMPILATION_CACHE": "false"},
  ],
)
def test_whoever_has_chosen_is_left_alone(chosen, tmp_path):
  os.environ.update(chosen)
  before = dict(os.environ)
  use_compilation_cache()
  assert os.environ == before
  assert not list(tmp_path.iterdir())


def writable_folder(folder):
  folder.chmod(0o777)


def writable_parent(folder):
  folder.parent.chmod(0o770)


def writable_and_sticky_folder(folder):
  folder.chmod(0o1777)


def a_link_to_a_writable_folder(folder):
  elsewhere = folder.parents[2] / "elsewhere"
  elsewhere.mkdir()
  elsewhere.chmod(0o777)
  folder.rmdir()
  folder.symlink_to(elsewhere)


@pytest.mark.parametrize(
  "change",
  [
    writable_folder,
    writable_parent,
    writable_and_sticky_folder,
    a_link_to_a_writable_folder,
  ],
)
def test_a_folder_that_others_can_write_to_is_not_trusted(change, capsys):
  change(own_folder())
  with pytest.raises(OSError, match="others can write to /"):
    own_folder()
  use_compilation_cache()
  assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
  said = capsys.readouterr().err
  assert said.startswith("compiled programs are not kept: others can write to ")
  assert said.count("\n") == 1


def test_a_folder_of_another_user_is_not_trusted(monkeypatch):
  folder = own_folder()
  monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
  with pytest.raises(OSError, match="belongs to another user"):
    own_folder()


def test_a_folder_that_others_could_only_read_is_closed_to_them():
  own_folder().chmod(0o755)
  assert mode(own_folder()) == 0o700


def test_a_cache_that_cannot_be_made_costs_time_and_no_run(tmp_path, capsys):
  (tmp_path / "robust_saliency").write_text("a file")
  use_compilation_cache()
  assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
  assert capsys.readouterr().err.startswith("compiled programs are not kept: ")


def test_what_was_not_used_for_the_longest_time_goes_first(tmp_path):
  for i in range(6):
    path = tmp_path / f"version-{i % 2}" / f"program-{i}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(100))
    os.utime(path, (i, i))
  remove_oldest(tmp_path, 600)
  assert len([*tmp_path.rglob("program-*")]) == 6
  remove_oldest(tmp_path, 500)
  assert sorted(path.name for path in tmp_path.rglob("program-*")) == ["program-4", "program-5"]


def test_a_command_tells_jax_before_anything_imports_it(monkeypatch):
  said = []
  monkeypatch.setattr(command, "use_compilation_cache", lambda: said.append("cache"))
  monkeypatch.setattr(command, "parse_flags", lambda argv: said.append("flags") or FLAGS(argv[:1]))
  monkeypatch.setattr(sys, "argv", ["redraw"])
  ours = command.Command(lambda argv: said.append("main"), "About.", (), at_once=lambda: True)
  with pytest.raises(SystemExit):
    command.run(ours)
  assert said == ["cache", "flags"]


@pytest.mark.slow
def test_a_second_process_compiles_nothing_that_the_first_has_compiled(tmp_path):
  """JAX itself counts what it finds."""
  program = """
from robust_saliency.command_line import command
from robust_saliency.command_line.compilation_cache import use_compilation_cache
use_compilation_cache()
import jax, jax.numpy as jnp
from jax import monitoring
events = []
monitoring.register_event_listener(lambda name, **_: events.append(name))
def slow(x):
  for i in range(60):
    x = jnp.sort(jnp.sin(x) @ x)
  return x
jax.jit(slow)(jnp.ones((9, 9)))
print(sum("cache_hit" in name for name in events), sum("cache_miss" in name for name in events))
"""

  def hits():
    environment = {"PATH": os.defpath, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": path}
    run = subprocess.run(
      [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert "cpu_aot_loader" not in run.stderr
    return int(run.stdout.split()[0])

  path = os.pathsep.join(filter(None, sys.path))
  assert hits() == 0
  assert hits() >= 1
  assert any(own_folder().iterdir())


def test_a_user_without_a_home_is_told_in_a_sentence(monkeypatch, capsys):
  def home():
    raise RuntimeError("Could not determine home directory.")

  monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
  monkeypatch.setattr(Path, "home", home)
  use_compilation_cache()
  assert "Could not determine home directory.; " in capsys.readouterr().err
  assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
