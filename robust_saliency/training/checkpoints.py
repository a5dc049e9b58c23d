"""Checkpoints that are either whole and unchanged, or passed over by name.

Orbax writes a checkpoint atomically, but restores one with flipped bits without a word and takes an
empty folder for its latest. So each checkpoint has a manifest beside it, written last, with the
SHA-256 of every file; one without a manifest was never finished, and one that differs from its
manifest is damaged. Arrays are saved as host arrays, so a checkpoint knows nothing of devices.

Of several processes only the first touches the files; it tells the others what it has read.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging
from jax.experimental import multihost_utils

from robust_saliency.core import checks, files

State = TypeVar("State")
_NAME = re.compile(r"step_(\d{9})")


def save(directory: Path, step: int, state: State, *, keep: int = 2) -> Path:
  """Saves a state, then deletes all but the newest checkpoints up to this step.

  Args:
    directory: where the checkpoints of one run lie.
    step: number of steps taken.
    state: any pytree of arrays, the same on all processes.
    keep: how many checkpoints stay.

  Returns:
    The checkpoint's folder.

  Raises:
    FloatingPointError: if the state holds NaN; the earlier checkpoints stay.
  """
  checks.count(keep=keep)
  path = directory.absolute() / f"step_{step:09d}"
  host_state = jax.tree.map(np.asarray, state)
  _refuse_nan(host_state, step)
  if jax.process_index() != 0:
    return path
  with _checkpointer() as checkpointer:
    checkpointer.save(path, host_state, force=True)
  manifest = {"step": step, "files": _digests(path)}
  files.write_with_digest(_manifest_path(path), files.json_text(manifest).encode())
  checkpoints = _checkpoints(directory)
  # Later ones were passed over when this run resumed; they would crowd out those that are whole.
  later = checkpoints.index(path)
  for old in (*checkpoints[:later], *checkpoints[later + keep :]):
    _delete(old)
  return path


def restore_latest(directory: Path, like: State) -> State | None:
  """The newest checkpoint that is whole and unchanged.

  Args:
    directory: where the checkpoints of one run lie.
    like: a state of the same structure and shapes.

  Returns:
    The state as host arrays, the same on all processes, or None where no checkpoint can be
    trusted; each one refused is named in a warning.
  """
  if jax.process_count() == 1:
    return _restore_latest(directory, like)
  state = _restore_latest(directory, like) if jax.process_index() == 0 else None
  if not multihost_utils.broadcast_one_to_all(np.int32(state is not None)):
    return None
  told = multihost_utils.broadcast_one_to_all(like if state is None else state)
  return jax.tree.map(np.asarray, told)


def _restore_latest(directory: Path, like: State) -> State | None:
  for path in _checkpoints(directory):
    try:
      verify(path)
    except files.DamagedFileError as error:
      logging.warning("Passing over checkpoint %s: %s", path.name, error)
      continue
    with _checkpointer() as checkpointer:
      return checkpointer.restore(path.absolute(), jax.tree.map(np.asarray, like))
  return None


def verify(path: Path) -> None:
  """Refuses a checkpoint that is unfinished or damaged.

  Raises:
    DamagedFileError: naming what is wrong.
  """
  manifest = json.loads(files.read_verified(_manifest_path(path)))
  found = _digests(path)
  for name, digest in manifest["files"].items():
    if name not in found:
      raise files.DamagedFileError(f"its file {name} is missing")
    if found[name] != digest:
      raise files.DamagedFileError(f"its file {name} is damaged")
  if extra := sorted(set(found) - set(manifest["files"])):
    raise files.DamagedFileError(f"its file {extra[0]} was not there when it was saved")


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
  found = (p for p in directory.absolute().iterdir() if _NAME.fullmatch(p.name))
  return sorted(found, reverse=True)


def _delete(path: Path) -> None:
  # The manifest goes first: without it what is left of the folder counts as unfinished.
  for manifest in path.parent.glob(f"{path.name}.json*"):
    manifest.unlink()
  shutil.rmtree(path)


def _manifest_path(path: Path) -> Path:
  return path.with_name(f"{path.name}.json")


def _digests(path: Path) -> dict[str, str]:
  inside = (p for p in path.rglob("*") if p.is_file())
  return {str(p.relative_to(path)): files.digest(p.read_bytes()) for p in sorted(inside)}
