"""Files of other versions, or of nobody's, with digests that are right; and places to write to."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import jax
import pytest

from robust_saliency.core import files
from robust_saliency.pipeline import WorkdirError
from robust_saliency.pipeline import workdir as workdirs
from robust_saliency.pipeline.stage import read_record
from robust_saliency.results.files import ABOUT, load_result
from robust_saliency.training import checkpoints, divergence, read_metrics
from robust_saliency.training.metrics import CSV_NAME

STRANGE = [b"5", b"[]", b"null", b"{}", b"{", b"", b"\xff\xfe", b'{"format": 1}', b"[" * 100_000]


@pytest.mark.parametrize("content", STRANGE)
def test_a_strange_config_is_refused_by_the_name_of_its_file_or_version(content, tmp_path):
  files.write_with_digest(tmp_path / "config.json", content)
  named = r"config\.json (must hold fields in JSON|needs the field 'config')|by another version"
  with pytest.raises(WorkdirError, match=named) as refused:
    workdirs.read_config(tmp_path)
  assert "\n" not in str(refused.value)


@pytest.mark.parametrize("imports", [5, [5], [["a"]], [["a", 5]], None])
def test_strange_imports_are_refused_by_the_name_of_their_file(imports, tmp_path):
  kept = json.dumps({"format": 1, "config": {}, "imports": imports}).encode()
  files.write_with_digest(tmp_path / "config.json", kept)
  with pytest.raises(WorkdirError, match=r"config\.json: imports\S* must be"):
    workdirs.read_imports(tmp_path)


@pytest.mark.parametrize("content", STRANGE)
def test_a_strange_record_of_any_kind_counts_as_missing(content, tmp_path, caplog):
  (tmp_path / "step_000000001").mkdir()
  for name in ("stage.json", ABOUT, divergence.NAME, "step_000000001.json", CSV_NAME):
    files.write_with_digest(tmp_path / name, content)
  with caplog.at_level("WARNING", logger="absl"):
    assert read_record(tmp_path) is None
    assert load_result(tmp_path, identity="it") is None
    assert divergence.recorded(tmp_path, identity="it") == ""
    assert checkpoints.restore(tmp_path, {}) is None
    assert read_metrics(tmp_path) == []
  for name in ("stage.json", ABOUT, divergence.NAME, "step_000000001"):
    assert name in caplog.text


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("seconds", -1e300),
    ("seconds", None),
    ("provenance", {}),
    ("follows_from", {"settings": {}}),
    ("identity", 5),
  ],
)
def test_a_record_whose_fields_are_strange_counts_as_missing(field, value, workdir):
  path = workdir / "studies" / "accuracy" / "stage.json"
  assert read_record(path.parent) is not None
  files.write_with_digest(path, json.dumps({**json.loads(path.read_text()), field: value}).encode())
  assert read_record(path.parent) is None


@pytest.mark.parametrize(
  "layout",
  [{}, {"axes": 5, "coordinates": {}}, {"axes": {}, "coordinates": {}, "units": []}, {"a": 1}],
)
def test_a_result_of_another_layout_counts_as_missing(layout, workdir, correct):
  path = workdir / "studies" / "accuracy" / ABOUT
  about = json.loads(path.read_text())
  assert load_result(path.parent, identity=about["identity"]) is not None
  files.write_with_digest(path, json.dumps({**about, "layout": layout}).encode())
  assert load_result(path.parent, identity=about["identity"]) is None


@pytest.fixture
def read_only(workdir):
  """A folder that nobody may write to; a superuser could, so tests look at what has changed."""
  paths = [workdir, *workdir.rglob("*")]
  modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths}
  for path, mode in modes.items():
    path.chmod(mode & ~0o222)
  yield workdir
  for path, mode in modes.items():
    path.chmod(mode)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("command", ["evaluate", "explain"])
def test_a_folder_that_is_read_only_is_read_with_out_elsewhere(
  command, read_only, commands, state, tmp_path
):
  before = state(read_only)
  assert commands(command, read_only, out=tmp_path / "out") == ""
  assert state(read_only) == before
  assert (tmp_path / "out" / "standard.npz").is_file()


def test_several_processes_are_refused_before_anything_is_claimed(
  commands, workdir, state, tmp_path, monkeypatch
):
  monkeypatch.setattr(jax, "process_count", lambda: 2)
  before = state(workdir)
  for command in commands.names:
    for folder in (workdir, tmp_path / "new"):
      if command == "main" or folder is workdir:
        assert "an experiment runs in one process" in commands(command, folder)
  assert state(workdir) == before
  assert not (tmp_path / "new").exists()


@pytest.fixture
def file_size_limit():
  """Sets how large files may become, `ulimit -f`; Python ignores the signal that comes with it."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
  resource.setrlimit(resource.RLIMIT_FSIZE, before)


# Of Orbax, whose thread for the write that failed is late.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
@pytest.mark.parametrize("size", [700, 3000])
def test_a_file_that_may_not_become_so_large_is_named_in_a_short_sentence(
  size, small, commands, tmp_path, file_size_limit
):
  del small  # by now whatever JAX caches is on disk, and nothing is cut off there
  file_size_limit(size)
  said = commands("main", tmp_path / "run")
  file_size_limit(resource.RLIM_INFINITY)
  assert str(tmp_path / "run") in said
  assert "File too large" in said
  assert len(said) < 300
  assert commands("main", tmp_path / "run") == ""


def catches(process, number):
  """Whether a process has a handler of its own for a signal."""
  status = Path(f"/proc/{process.pid}/status").read_text()
  caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
  return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def stopped(arguments, number, seconds=0.0):
  """What a command that gets a signal so soon after its start says, and how it ends."""
  process = subprocess.Popen(
    [sys.executable, "-m", *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
  )
  while not catches(process, signal.SIGTERM):
    assert process.poll() is None
    time.sleep(0.005)
  time.sleep(seconds)
  os.kill(process.pid, number)
  _, said = process.communicate(timeout=120)
  return process.returncode, said


@pytest.mark.parametrize("command", ["main", "evaluate", "explain"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_command_is_imported_ends_it_in_a_sentence(command, number):
  code, said = stopped([f"robust_saliency.{command}"], number)
  assert code == 75
  assert said == f"stopped by {number.name}. Start the same command again to resume.\n"


@pytest.mark.slow  # starts a dozen commands
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_first_seconds_ends_it_in_a_sentence(number, tmp_path):
  digits = Path(__file__).parents[2] / "experiments" / "digits.py"
  for tenths in range(0, 120, 15):
    arguments = [f"--config={digits}:smoke", f"--workdir={tmp_path / str(tenths)}"]
    code, said = stopped(["robust_saliency.main", *arguments], number, tenths / 10)
    assert "Traceback" not in said, (tenths, said)
    assert "Exception ignored" not in said, (tenths, said)
    if code == 0:
      break
    assert code == 75, (tenths, said)
    assert said.splitlines()[-1].startswith(f"stopped by {number.name}"), (tenths, said)
