"""What a checkpoint's files say that they hold, before anything of it is taken into memory.

A checkpoint may be a stranger's, and so may be the config that it is read for. An array that was
never written takes no bytes on disk and all of its own in memory, and Orbax restores whatever shape
is there.
"""

import math
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from robust_saliency.core.files import DamagedFileError

# Bytes in memory for each byte on disk: trained numbers hardly compress, zeros by far more.
MOST_PER_BYTE = 100
# Bytes in memory that are always allowed.
SMALL = 2**26


def check_contents(path: Path, like: Any, checkpointer: ocp.StandardCheckpointer) -> None:
  """Raises for a checkpoint that holds no such state, or could not.

  Args:
    path: of the checkpoint, whose files have been verified.
    like: a state, of which the shapes count.
    checkpointer: what reads it.

  Raises:
    DamagedFileError: naming the first array that differs, or both sizes.
  """
  wanted, on_disk = nbytes(like), sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
  if wanted > SMALL + MOST_PER_BYTE * on_disk:
    raise DamagedFileError(
      f"its files have {on_disk} bytes, too few for the {wanted} of the network that is asked for"
    )
  shapes = _shapes((like,))
  metadata = checkpointer.metadata(path)
  # Orbax 0.11.17 returns what later versions wrap.
  metadata = getattr(metadata, "item_metadata", metadata)
  if metadata is None:
    raise DamagedFileError("its arrays cannot be listed")
  there = _shapes(metadata.tree)
  for name, shape in shapes.items():
    if there.get(name) != shape:
      raise DamagedFileError(f"it holds another state: {_said(name, there)}, not {list(shape)}")
  if more := sorted(there.keys() - shapes.keys()):
    raise DamagedFileError(f"it holds another state: {_said(more[0], there)}, which has no place")


def nbytes(state: Any) -> int:
  """How many bytes a state takes in memory; its shapes will do."""
  return sum(
    math.prod(np.shape(leaf)) * np.dtype(getattr(leaf, "dtype", np.int64)).itemsize
    for leaf in jax.tree.leaves(state)
  )


def memory() -> int:
  """The bytes that this machine has."""
  return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def placeholders(like: Any) -> Any:
  """A state of arrays of these shapes, which take no memory."""
  return jax.tree.map(
    lambda leaf: (
      np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)
      if isinstance(leaf, jax.ShapeDtypeStruct)
      else np.asarray(leaf)
    ),
    like,
  )


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
  return {
    jax.tree_util.keystr(path, simple=True, separator="/"): tuple(np.shape(leaf))
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }


def _said(name: str, there: dict[str, tuple[int, ...]]) -> str:
  array = name.partition("/")[2]
  return f"{array} has the shape {list(there[name])}" if name in there else f"{array} is missing"
