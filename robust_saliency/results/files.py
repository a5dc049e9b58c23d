"""A result's files: its arrays, and beside them what they mean, bound to each other by a digest."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from robust_saliency.core import files, records
from robust_saliency.results.result import Layout, Result

ARRAYS, ABOUT = "result.npz", "result.json"
# What `described` tells of a result.
DESCRIPTION: dict[str, records.Form] = {
  "name": records.TEXT,
  "kind": records.TEXT,
  "layout": {
    "axes": records.Each(records.FIELDS, records.Each(records.LIST, records.TEXT)),
    "coordinates": records.Each(records.FIELDS, records.Each(records.LIST, records.VALUE)),
    "images_each": records.Each(records.FIELDS, records.COUNT),
    "units": records.Each(records.FIELDS, records.TEXT),
    "differences": records.Each(records.LIST, records.TEXT),
  },
  "metadata": records.FIELDS,
}
_FIELDS = {**DESCRIPTION, "identity": records.TEXT, "arrays": records.TEXT}


def save_result(result: Result, directory: Path, *, identity: str) -> None:
  """Writes a result.

  Args:
    result: what a study measured.
    directory: its own.
    identity: a digest of what it follows from; `load_result` compares it.
  """
  content = files.npz(dict(result.arrays))
  files.write_with_digest(directory / ARRAYS, content)
  about = {**described(result), "identity": identity, "arrays": files.digest(content)}
  # It comes last: a result that is cut off between the two is not there at all.
  files.write_with_digest(directory / ABOUT, files.json_text(about).encode())


def load_result(directory: Path, *, identity: str) -> Result | None:
  """A result that was saved, unless it follows from something else, is missing or damaged."""
  if not (directory / ABOUT).exists():
    return None
  try:
    about = records.read_record(directory / ABOUT, _FIELDS)
    return None if about["identity"] != identity else _with_arrays(about, directory)
  except ValueError as error:
    logging.warning("The result in %s cannot be used: %s", directory, error)
    return None


def read_result(directory: Path) -> Result:
  """A result that was saved, whatever it follows from.

  Raises:
    ValueError: if it is missing or damaged.
  """
  return _with_arrays(records.read_record(directory / ABOUT, _FIELDS), directory)


def described(result: Result) -> dict[str, Any]:
  """All of a result but its arrays, as JSON."""
  return {
    "name": result.name,
    "kind": result.kind,
    "layout": dataclasses.asdict(result.layout),
    "metadata": result.metadata,
  }


def from_description(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Result:
  """The result of which `described` has told, and its arrays.

  Raises:
    ValueError: where they do not belong together.
  """
  return Result(about["name"], about["kind"], _layout(about["layout"]), arrays, about["metadata"])


def _with_arrays(about: Mapping[str, Any], directory: Path) -> Result:
  content = files.read_verified(directory / ARRAYS)
  if files.digest(content) != about["arrays"]:
    raise files.DamagedFileError(f"{directory / ARRAYS} does not belong to {ABOUT} beside it")
  return from_description(about, records.arrays_in(content, directory / ARRAYS))


def _layout(fields: dict[str, Any]) -> Layout:
  try:
    return Layout(**{field: _tuples(value) for field, value in fields.items()})
  except TypeError:
    raise files.DamagedFileError(f"layout in {ABOUT} is none of a result") from None


def _tuples(value: Any) -> Any:
  """JSON's lists as the tuples that they were."""
  if isinstance(value, dict):
    return {name: _tuples(one) for name, one in value.items()}
  return tuple(map(_tuples, value)) if isinstance(value, list) else value
