"""Checkpoints that are either whole and unchanged, or skipped by name.

Orbax writes a checkpoint atomically, but restores one with flipped bits without a word and takes an
empty folder for its latest. So each checkpoint has a manifest beside it, written last, with the
SHA-256 of every file; one without a manifest was never finished, and one that differs from its
manifest is damaged. Arrays are saved as host arrays, so a checkpoint knows nothing of devices.

More of Orbax would save no code here. Its CheckpointManager chooses which steps to keep and to
restore by their folders' names, before anybody could look at a digest; and asynchronous or sharded
saves have nothing to hide where a state is a few megabytes and the same on all devices.

The manifest also says which recipe the checkpoint follows from, and holds what the loop has to
know to resume (the metrics so far).

Of several processes only the first touches the files; it tells the others what it has read.
"""

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from jax.experimental import multihost_utils

from robust_saliency.core import checks, files, records
from robust_saliency.training.contents import check_contents, placeholders

State = TypeVar("State")
_NAME = re.compile(r"step_\d{9}")
_UNFINISHED = "*.orbax-checkpoint-tmp*"
_MANIFEST: dict[str, records.Form] = {
  "step": records.COUNT,
  "identity": records.ANYTHING,
  "notes": records.FIELDS,
  "files": records.Each(records.FIELDS, records.TEXT),
}
# Whichever Orbax finds apt for another state, or for metadata that are no state's.
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, RuntimeError, AssertionError)
# What ends most writes that fail, in TensorStore's words lines long.
_REASONS = tuple(
  map(
    os.strerror,
    (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
  )
)


class Checkpoint(NamedTuple, Generic[State]):
  """What was saved.

  Attributes:
    step: number of steps taken.
    state: of host arrays.
    notes: what was noted with it.
  """

  step: int
  state: State
  notes: dict[str, Any]


def save(
  directory: Path,
  step: int,
  state: State,
  *,
  keep: int = 2,
  every: int = 1,
  best: int | None = None,
  identity: Any = None,
  notes: Mapping[str, Any] | None = None,
) -> Path:
  """Saves a state, then deletes all but this checkpoint and the newest before it.

  Args:
    directory: where the checkpoints of one run lie.
    step: number of steps taken.
    state: any pytree of arrays, the same on all processes.
    keep: how many checkpoints stay, this one among them.
    every: those before it stay only where this divides their step.
    best: the step of one more that stays.
    identity: what the run follows from, JSON-serialisable; `restore` compares it.
    notes: whatever else the run has to know to resume, JSON-serialisable.

  Returns:
    The checkpoint's folder.

  Raises:
    FloatingPointError: if the state holds NaN; the earlier checkpoints stay.
    OSError: if it cannot be written; the earlier checkpoints stay.
  """
  checks.count(keep=keep, every=every)
  path = _path(directory, step)
  host_state = jax.tree.map(np.asarray, state)
  _refuse_nan(host_state, step)
  if jax.process_index() != 0:
    return path
  _write(path, host_state)
  manifest = {
    "step": step,
    "identity": identity,
    "notes": dict(notes or {}),
    "files": {name: files.digest_of_file(path / name) for name in _files_in(path)},
  }
  files.write_with_digest(_manifest_path(path), files.json_text(manifest).encode())
  # Later ones were skipped when this run resumed; they would crowd out those that are whole. One
  # that a signal has asked for would crowd out those which a recipe keeps.
  others = [one for one in _checkpoints(directory) if one != path]
  before = [one for one in others if _step(one) < step and _step(one) % every == 0]
  for old in others:
    if old not in before[: keep - 1] and _step(old) != best:
      _delete(old)
  return path


def delete_from(directory: Path, step: int) -> None:
  """Deletes the checkpoints of this step and of later ones.

  Args:
    directory: where the checkpoints of one run lie.
    step: number of steps taken.
  """
  if jax.process_index() == 0:
    for path in _checkpoints(directory):
      if _step(path) >= step:
        _delete(path)


def restore(
  directory: Path,
  like: State,
  *,
  identity: Any = None,
  before: int | None = None,
  step: int | None = None,
  check_notes: Callable[[dict[str, Any], str], None] | None = None,
) -> Checkpoint[State] | None:
  """The newest checkpoint that is whole, unchanged, and of the same identity.

  Args:
    directory: where the checkpoints of one run lie.
    like: a state of the same structure and shapes, of which only they are needed
      (`jax.eval_shape`).
    identity: what the run follows from; checkpoints of another are skipped.
    before: only checkpoints of fewer steps count; None for all.
    step: only the checkpoint of this step counts; None for all.
    check_notes: `(notes, the file's name)`, raises `DamagedFileError` for what nobody has noted;
      such checkpoints are skipped.

  Returns:
    The checkpoint, the same on all processes, or None where none can be trusted; each one refused
    is named in a warning.
  """

  def wanted(path: Path) -> bool:
    found = _step(path)
    return (before is None or found < before) and (step is None or found == step)

  def read() -> Checkpoint[State] | None:
    return _restore(directory, like, identity, wanted, check_notes)

  if jax.process_count() == 1:
    return read()
  restored = read() if jax.process_index() == 0 else None
  about = b""
  if restored is not None:
    about = files.json_text([restored.step, restored.notes]).encode()
  told = tell(about)
  if not told:
    return None
  state = multihost_utils.broadcast_one_to_all(
    placeholders(like) if restored is None else restored.state
  )
  number, notes = json.loads(told)
  return Checkpoint(number, jax.tree.map(np.asarray, state), notes)


def verify(path: Path) -> dict[str, Any]:
  """Raises for a checkpoint that is unfinished or damaged.

  Returns:
    Its manifest.

  Raises:
    DamagedFileError: naming what is wrong.
  """
  manifest = records.read_record(_manifest_path(path), _MANIFEST)
  found = _files_in(path)
  for name in manifest["files"]:
    if name not in found:
      raise files.DamagedFileError(f"its file {name} is missing")
  if extra := sorted(set(found) - set(manifest["files"])):
    raise files.DamagedFileError(f"its file {extra[0]} was not there when it was saved")
  for name, digest in manifest["files"].items():
    try:
      damaged = files.digest_of_file(path / name) != digest
    except FileNotFoundError:  # who trains may have deleted it meanwhile
      raise files.DamagedFileError(f"its file {name} is missing") from None
    if damaged:
      raise files.DamagedFileError(f"its file {name} is damaged")
  return manifest


def tell(text: bytes) -> bytes:
  """What the first process says, on all of them."""
  length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
  if not length:
    return b""
  padded = np.frombuffer(text.ljust(length, b" ")[:length], np.uint8)
  return np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes()


def identity_of_newest(directory: Path) -> Any:
  """What the newest checkpoint that is whole follows from; None where there is none."""
  for path in _checkpoints(directory):
    with contextlib.suppress(files.DamagedFileError):
      return verify(path)["identity"]
  return None


def _restore(
  directory: Path,
  like: State,
  identity: Any,
  wanted: Callable[[Path], bool],
  check_notes: Callable[[dict[str, Any], str], None] | None,
) -> Checkpoint[State] | None:
  for path in filter(wanted, _checkpoints(directory)):
    try:
      manifest = verify(path)
      if check_notes is not None:
        check_notes(manifest["notes"], f"{_manifest_path(path)}, notes")
    except files.DamagedFileError as error:
      logging.warning("Skipping checkpoint %s: %s", path, error)
      continue
    if manifest["identity"] != json.loads(files.json_text(identity)):
      logging.warning("Skipping checkpoint %s: it follows from another config", path)
      continue
    try:
      with _checkpointer() as checkpointer:
        check_contents(path, like, checkpointer)
        (state,) = checkpointer.restore(path, (placeholders(like),))
    except files.DamagedFileError as error:
      logging.warning("Skipping checkpoint %s: %s", path, error)
      continue
    except _UNREADABLE as error:
      reason = " ".join(str(error).split())[:300]
      logging.warning("Skipping checkpoint %s: it holds another state: %s", path, reason)
      continue
    return Checkpoint(manifest["step"], state, manifest["notes"])
  return None


def _write(path: Path, host_state: Any) -> None:
  for left in path.parent.glob(_UNFINISHED):
    shutil.rmtree(left)
  verbosity = logging.get_verbosity()
  try:
    # Orbax logs an error's traceback before it raises it.
    logging.set_verbosity(logging.FATAL)
    with _checkpointer() as checkpointer:
      # In a tuple, since Orbax takes no bare array.
      checkpointer.save(path, (host_state,), force=True)
  except Exception as error:  # Orbax and TensorStore raise many kinds, with many lines
    for left in path.parent.glob(_UNFINISHED):
      shutil.rmtree(left, ignore_errors=True)
    text = " ".join(str(error).split())
    reason = next((reason for reason in _REASONS if reason in text), text[:100])
    raise OSError(f"checkpoint {path} cannot be written: {reason}") from error
  finally:
    logging.set_verbosity(verbosity)


def _checkpointer() -> ocp.StandardCheckpointer:
  options = ocp.options.MultiprocessingOptions(primary_host=0)
  if jax.process_count() > 1:
    # The others do not take part, so it must not wait for them.
    options.active_processes, options.barrier_sync_key_prefix = {0}, "first_process"
  return ocp.StandardCheckpointer(multiprocessing_options=options)


def _refuse_nan(state: Any, step: int) -> None:
  for path, leaf in jax.tree_util.tree_leaves_with_path(state):
    if np.issubdtype(leaf.dtype, np.inexact) and np.isnan(leaf).any():
      raise FloatingPointError(f"state{jax.tree_util.keystr(path)} became NaN by step {step}")


def _checkpoints(directory: Path) -> list[Path]:
  """Checkpoint folders, newest first, whatever their condition."""
  if not directory.is_dir():
    return []
  found = (p for p in directory.absolute().iterdir() if _NAME.fullmatch(p.name) and p.is_dir())
  return sorted(found, reverse=True)


def _delete(path: Path) -> None:
  # The manifest goes first: without it what is left of the folder counts as unfinished.
  for manifest in path.parent.glob(f"{path.name}.json*"):
    manifest.unlink()
  shutil.rmtree(path)


def _path(directory: Path, step: int) -> Path:
  return directory.absolute() / f"step_{step:09d}"


def _step(path: Path) -> int:
  return int(path.name.removeprefix("step_"))


def _manifest_path(path: Path) -> Path:
  return path.with_name(f"{path.name}.json")


def _files_in(path: Path) -> list[str]:
  """All that is no folder, links and pipes too, which `files.digest_of_file` refuses."""
  inside = (p for p in path.rglob("*") if p.is_symlink() or not p.is_dir())
  return [str(p.relative_to(path)) for p in sorted(inside)]
