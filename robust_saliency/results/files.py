"""A result's files: its arrays, and beside them what they mean, bound to each other by a digest."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from robust_saliency.core import files
from robust_saliency.results.result import Layout, Result

ARRAYS, ABOUT = "result.npz", "result.json"


def save_result(result: Result, directory: Path, *, identity: str) -> None:
  """Writes a result.

  Args:
    result: what a study measured.
    directory: its own.
    identity: a digest of what it follows from; `load_result` compares it.
  """
  content = files.npz(dict(result.arrays))
  files.write_with_digest(directory / ARRAYS, content)
  about = {
    "name": result.name,
    "kind": result.kind,
    "identity": identity,
    "arrays": files.digest(content),
    "layout": dataclasses.asdict(result.layout),
    "metadata": result.metadata,
  }
  # It comes last: a result that is cut off between the two is not there at all.
  files.write_with_digest(directory / ABOUT, files.json_text(about).encode())


def load_result(directory: Path, *, identity: str) -> Result | None:
  """A result that was saved, unless it follows from something else, is missing or damaged."""
  if not (directory / ABOUT).exists():
    return None
  try:
    about = json.loads(files.read_verified(directory / ABOUT))
    if about["identity"] != identity:
      return None
    content = files.read_verified(directory / ARRAYS)
    if files.digest(content) != about["arrays"]:
      raise files.DamagedFileError(f"{directory / ARRAYS} does not belong to {ABOUT} beside it")
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
      arrays = dict(archive)
    layout = Layout(**{field: _tuples(value) for field, value in about["layout"].items()})
    return Result(about["name"], about["kind"], layout, arrays, about["metadata"])
  except (files.DamagedFileError, ValueError, KeyError, TypeError) as error:
    logging.warning("The result in %s cannot be used: %s", directory, error)
    return None


def _tuples(value: Any) -> Any:
  """JSON's lists as the tuples that they were."""
  if isinstance(value, dict):
    return {name: _tuples(one) for name, one in value.items()}
  return tuple(map(_tuples, value)) if isinstance(value, list) else value
