"""Checkpoints that are either whole and unchanged, or passed over by name.

Orbax writes a checkpoint atomically, but restores one with flipped bits without a word and takes an
empty folder for its latest. So each checkpoint has a manifest beside it, written last, with the
SHA-256 of every file; one without a manifest was never finished, and one that differs from its
manifest is damaged. Arrays are saved as host arrays, so a checkpoint knows nothing of devices.
"""

import json
import re
import shutil
from pathlib import Path
from typing import TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from robust_saliency.core import checks, files

State = TypeVar("State")
_NAME = re.compile(r"step_(\d{9})")


def save(directory: Path, step: int, state: State, *, keep: int = 2) -> Path:
  """Saves a state, then deletes all but the newest checkpoints.

  Args:
    directory: where the checkpoints of one run lie.
    step: number of steps taken.
    state: any pytree of arrays, the same on all processes.
    keep: how many checkpoints stay.

  Returns:
    The checkpoint's folder.
  """
  checks.count(keep=keep)
  path = directory.absolute() / f"step_{step:09d}"
  host_state = jax.tree.map(np.asarray, state)
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(path, host_state, force=True)
  if jax.process_index() == 0:
    manifest = {"step": step, "files": _digests(path)}
    files.write_with_digest(_manifest_path(path), files.json_text(manifest).encode())
    for old in _checkpoints(directory)[keep:]:
      _delete(old)
  return path


def restore_latest(directory: Path, like: State) -> State | None:
  """The newest checkpoint that is whole and unchanged.

  Args:
    directory: where the checkpoints of one run lie.
    like: a state of the same structure and shapes.

  Returns:
    The state as host arrays, or None where no checkpoint can be trusted; each one refused is
    named in a warning.
  """
  for path in _checkpoints(directory):
    try:
      verify(path)
    except files.DamagedFileError as error:
      logging.warning("Passing over checkpoint %s: %s", path.name, error)
      continue
    with ocp.StandardCheckpointer() as checkpointer:
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


def _checkpoints(directory: Path) -> list[Path]:
  """Checkpoint folders, newest first, whatever their condition."""
  if not directory.is_dir():
    return []
  return sorted((p for p in directory.iterdir() if _NAME.fullmatch(p.name)), reverse=True)


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
