import os
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.core import files
from robust_saliency.core.files import DamagedFileError
from robust_saliency.training import checkpoints, create_state, get_optimizer


def state_at(step):
  optimizer = get_optimizer({"name": "adam", "learning_rate": 0.1})
  variables = {
    "params": {"w": step + jnp.arange(5.0)},
    "batch_stats": {"mean": jnp.full(3, step, jnp.float16)},
  }
  return step, create_state(variables, optimizer, seed=step)


def assert_equal(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for p, q in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    assert np.asarray(p).dtype == np.asarray(q).dtype
    np.testing.assert_array_equal(p, q)


@pytest.fixture
def two(tmp_path):
  """A run with checkpoints of steps 10 and 20."""
  for step in (10, 20):
    checkpoints.save(tmp_path, step, state_at(step))
  return tmp_path


def test_what_is_restored_is_what_was_saved_bit_for_bit(two):
  assert_equal(checkpoints.restore(two, state_at(0)).state, state_at(20))


def test_values_that_float_formats_lose_survive(tmp_path):
  state = {"x": np.array([-0.0, np.inf, 1e-45, 2**24 + 1], np.float32), "n": np.uint32(2**32 - 1)}
  checkpoints.save(tmp_path, 1, state)
  restored = checkpoints.restore(tmp_path, state).state
  assert restored["x"].tobytes() == state["x"].tobytes()
  assert restored["n"] == state["n"]


def test_a_run_without_checkpoints_has_none_to_restore(tmp_path):
  assert checkpoints.restore(tmp_path, state_at(0)) is None
  assert checkpoints.restore(tmp_path / "missing", state_at(0)) is None


def all_files(path):
  return sorted(p for p in path.rglob("*") if p.is_file() and p.stat().st_size)


def flip_a_byte(path):
  # The largest file, in the middle: the arrays themselves.
  file = max(all_files(path), key=lambda p: p.stat().st_size)
  content = bytearray(file.read_bytes())
  content[len(content) // 2] ^= 1
  file.write_bytes(content)
  return f"{file.relative_to(path)} is damaged"


def cut_short(path):
  file = all_files(path)[0]
  file.write_bytes(file.read_bytes()[:-1])
  return f"{file.relative_to(path)} is damaged"


def remove_a_file(path):
  file = all_files(path)[-1]
  file.unlink()
  return f"{file.relative_to(path)} is missing"


def empty_the_folder(path):
  shutil.rmtree(path)
  path.mkdir()
  return "is missing"


def add_a_file(path):
  (path / "extra").write_text("?")
  return "extra was not there"


def remove_the_manifest(path):
  path.with_name(f"{path.name}.json").unlink()
  return "cannot be trusted"


def remove_the_manifest_s_digest(path):
  path.with_name(f"{path.name}.json.sha256").unlink()
  return "cannot be trusted"


def change_the_manifest(path):
  manifest = path.with_name(f"{path.name}.json")
  manifest.write_text(manifest.read_text().replace("20", "21"))
  return "is damaged"


def replace_a_file_by_a_pipe(path):
  file = all_files(path)[-1]
  file.unlink()
  os.mkfifo(file)
  return "is no file but a pipe"


def replace_a_file_by_a_link(path):
  file = all_files(path)[-1]
  file.rename(path.parent / "elsewhere")
  file.symlink_to(path.parent / "elsewhere")
  return "is no file but a link"


def add_a_pipe(path):
  os.mkfifo(path / "extra")
  return "extra was not there"


def enlarge_the_manifest(path):
  with path.with_name(f"{path.name}.json").open("r+b") as file:
    file.truncate(10 * 2**30)  # sparse: it takes no room
  return "bytes, more than the"


def empty_the_manifest_s_fields(path):
  files.write_with_digest(path.with_name(f"{path.name}.json"), b"{}")
  return "needs the field 'step'"


DAMAGES = [
  flip_a_byte,
  cut_short,
  remove_a_file,
  empty_the_folder,
  add_a_file,
  remove_the_manifest,
  remove_the_manifest_s_digest,
  change_the_manifest,
  replace_a_file_by_a_pipe,
  replace_a_file_by_a_link,
  add_a_pipe,
  enlarge_the_manifest,
  empty_the_manifest_s_fields,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_by_name_for_the_one_before(damage, two, caplog):
  reason = damage(two / "step_000000020")
  with caplog.at_level("WARNING", logger="absl"):
    restored = checkpoints.restore(two, state_at(0)).state
  assert_equal(restored, state_at(10))
  (warning,) = [r.getMessage() for r in caplog.records if "Skipping" in r.getMessage()]
  assert "step_000000020" in warning
  assert reason in warning


def test_a_flipped_bit_in_any_file_shows(two):
  path = two / "step_000000020"
  random = np.random.default_rng(0)
  for file in all_files(path):
    content = file.read_bytes()
    damaged = bytearray(content)
    damaged[random.integers(len(content))] ^= 1 << random.integers(8)
    file.write_bytes(damaged)
    with pytest.raises(DamagedFileError, match=f"{file.relative_to(path)} is damaged"):
      checkpoints.verify(path)
    file.write_bytes(content)
  checkpoints.verify(path)


def test_without_a_whole_checkpoint_there_is_none_to_restore(two):
  for name in ("step_000000010", "step_000000020"):
    flip_a_byte(two / name)
  assert checkpoints.restore(two, state_at(0)) is None


def test_an_empty_folder_of_a_later_step_is_not_the_latest(two):
  (two / "step_000000030").mkdir()
  assert_equal(checkpoints.restore(two, state_at(0)).state, state_at(20))


def test_other_files_beside_the_checkpoints_do_not_matter(two):
  (two / "step_000000099.orbax-checkpoint-tmp").mkdir()
  (two / "notes.txt").write_text("step_000000099")
  assert_equal(checkpoints.restore(two, state_at(0)).state, state_at(20))


def test_the_newest_checkpoints_stay_and_the_others_go(two):
  checkpoints.save(two, 30, state_at(30), keep=2)
  kept = {p.name.split(".")[0] for p in two.iterdir()}
  assert kept == {"step_000000020", "step_000000030"}
  assert_equal(checkpoints.restore(two, state_at(0)).state, state_at(30))


def test_of_those_before_only_such_as_were_due_stay(two):
  for step in (30, 35, 40, 45):
    checkpoints.save(two, step, state_at(step), keep=3, every=10)
  assert {p.name for p in two.iterdir() if p.is_dir()} == {
    f"step_{step:09d}" for step in (30, 40, 45)
  }


def test_damaged_checkpoints_of_later_steps_do_not_crowd_out_whole_ones(two):
  for later in (30, 40):
    (two / f"step_{later:09d}").mkdir()
  checkpoints.save(two, 25, state_at(25), keep=1)
  assert_equal(checkpoints.restore(two, state_at(0)).state, state_at(25))


def test_a_step_that_is_saved_again_replaces_what_was_there(two):
  flip_a_byte(two / "step_000000020")
  checkpoints.save(two, 20, state_at(21))
  assert_equal(checkpoints.restore(two, state_at(0)).state, state_at(21))


def test_a_state_of_nan_is_refused_and_the_checkpoints_before_it_stay(two):
  step, state = state_at(30)
  state = state.replace(params={**state.params, "w": state.params["w"].at[2].set(jnp.nan)})
  with pytest.raises(FloatingPointError, match=r"state\[1\].params\['w'\] became NaN by step 30"):
    checkpoints.save(two, 30, (step, state))
  assert_equal(checkpoints.restore(two, state_at(0)).state, state_at(20))


def test_at_least_one_checkpoint_must_stay(tmp_path):
  with pytest.raises(ValueError, match="keep must be >= 1, got 0"):
    checkpoints.save(tmp_path, 1, state_at(1), keep=0)


def test_a_checkpoint_of_another_config_is_passed_over_by_name(tmp_path, caplog):
  checkpoints.save(tmp_path, 10, state_at(10), identity={"epochs": 2})
  checkpoints.save(tmp_path, 20, state_at(20), identity={"epochs": 3})
  with caplog.at_level("WARNING", logger="absl"):
    restored = checkpoints.restore(tmp_path, state_at(0), identity={"epochs": 2})
  assert restored.step == 10
  assert "step_000000020: it follows from another config" in caplog.text


def test_a_checkpoint_of_another_state_is_passed_over_by_name(two, caplog):
  checkpoints.save(two, 30, {"w": np.zeros(3)})
  with caplog.at_level("WARNING", logger="absl"):
    assert checkpoints.restore(two, state_at(0)).step == 20
  assert "step_000000030: it holds another state" in caplog.text


def test_notes_come_back_as_they_were(tmp_path):
  notes = {"rows": [{"step": 1, "loss": 0.1 + 0.2}], "scores": {"1": 1e-300}}
  checkpoints.save(tmp_path, 1, state_at(1), notes=notes)
  assert checkpoints.restore(tmp_path, state_at(0)).notes == notes


def test_the_best_checkpoint_stays_besides_the_newest(two):
  for step in (30, 40, 50):
    checkpoints.save(two, step, state_at(step), keep=2, best=20)
  kept = {p.name for p in two.iterdir() if p.is_dir()}
  assert kept == {"step_000000020", "step_000000040", "step_000000050"}
  assert_equal(checkpoints.restore(two, state_at(0), step=20).state, state_at(20))
  assert checkpoints.restore(two, state_at(0), before=50).step == 40
  assert checkpoints.restore(two, state_at(0), step=30) is None


def test_a_disk_without_room_ends_in_a_sentence_and_keeps_what_was_saved(two, monkeypatch):
  def full(path, *_, **__):
    path.with_name(f"{path.name}.orbax-checkpoint-tmp").mkdir()
    raise RuntimeError("RESOURCE_EXHAUSTED: write() failed:\n No space left on device")

  with monkeypatch.context() as patched:
    patched.setattr("orbax.checkpoint.StandardCheckpointer.save", lambda self, *a, **k: full(*a))
    with pytest.raises(OSError, match=r"step_000000030 cannot be written: No space left"):
      checkpoints.save(two, 30, state_at(30))
  assert not list(two.glob("*tmp*"))
  assert_equal(checkpoints.restore(two, state_at(0)).state, state_at(20))
  checkpoints.save(two, 30, state_at(30))
  assert_equal(checkpoints.restore(two, state_at(0)).state, state_at(30))


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from robust_saliency.training import checkpoints
folder = Path(sys.argv[1])
checkpoints.save(folder, 1, {"w": np.zeros(10, np.float32)})
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
random = np.random.default_rng(0).normal(size=10**6)
try:
  checkpoints.save(folder, 2, {"w": random})
except OSError as error:
  assert len(str(error).splitlines()) == 1
  assert checkpoints.restore(folder, {"w": np.zeros(10, np.float32)}).step == 1
  sys.exit(3)
"""


@pytest.mark.slow
def test_files_that_may_not_grow_keep_the_checkpoint_before(tmp_path):
  done = subprocess.run([sys.executable, "-c", LIMITED, tmp_path], capture_output=True, check=False)
  assert done.returncode == 3, done.stderr
