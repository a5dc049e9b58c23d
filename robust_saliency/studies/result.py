"""What a study hands on: arrays and facts, written once and read by claims and reports."""

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from robust_saliency.core import files


@dataclasses.dataclass(frozen=True)
class StudyResult:
  """The outcome of one measurement.

  Attributes:
    name: the name the config gives the study, unique in an experiment.
    kind: which measurement this is ("accuracy", "robustness", "transfer", "saliency", ...); it
      fixes the names and the axes of `arrays` and `facts`, see the study's own file.
    arrays: everything measured, per example where that exists.
    facts: what the arrays' axes mean (models, seeds, attacks, epsilons), JSON-serialisable.
  """

  name: str
  kind: str
  arrays: dict[str, np.ndarray]
  facts: dict[str, Any]


def save_result(result: StudyResult, directory: Path, *, identity: Any) -> None:
  """Writes `NAME.npz` and `NAME.json`, each with its digest beside it.

  Args:
    result: what a study measured.
    directory: the folder of all studies of an experiment.
    identity: what the result follows from, JSON-serialisable; `load_result` compares it.
  """
  arrays, facts = _paths(directory, result.name)
  files.write_with_digest(arrays, files.npz(result.arrays))
  about = {"kind": result.kind, "identity": identity, "facts": result.facts}
  # The facts come last: a study that is cut off between the two is not there at all.
  files.write_with_digest(facts, files.json_text(about).encode())


def load_result(name: str, directory: Path, *, identity: Any) -> StudyResult | None:
  """A result that was saved, unless it follows from something else, is missing or damaged."""
  arrays_path, facts_path = _paths(directory, name)
  if not facts_path.exists():
    return None
  try:
    about = json.loads(files.read_verified(facts_path))
    content = files.read_verified(arrays_path)
  except files.DamagedFileError as error:
    logging.warning("Study %s is run again: %s", name, error)
    return None
  if about["identity"] != json.loads(files.json_text(identity)):
    return None
  with np.load(io.BytesIO(content), allow_pickle=False) as archive:
    return StudyResult(name, about["kind"], dict(archive), about["facts"])


def fact(result: StudyResult, key: str) -> Any:
  """A fact of a study, or one sentence that says which one is missing."""
  if key not in result.facts:
    raise ValueError(
      f"the report of study {result.name!r} ({result.kind}) needs the fact {key!r}; "
      f"its facts are {', '.join(map(repr, result.facts)) or 'none'}"
    )
  return result.facts[key]


def array(result: StudyResult, key: str, **axes: int | None) -> np.ndarray:
  """An array of a study with the axes it must have; None stands for any positive length.

  >>> study = StudyResult("clean", "accuracy", {"correct": np.ones((2, 5), bool)}, {})
  >>> array(study, "correct", models=2, seeds=3, examples=None)
  Traceback (most recent call last):
  ValueError: array 'correct' of study 'clean' (accuracy) must have shape [models = 2, seeds = 3, \
examples], got [2, 5]
  """
  if key not in result.arrays:
    raise ValueError(
      f"the report of study {result.name!r} ({result.kind}) needs the array {key!r}; "
      f"its arrays are {', '.join(map(repr, result.arrays)) or 'none'}"
    )
  values = np.asarray(result.arrays[key])
  fits = values.ndim == len(axes) and all(
    given > 0 if wanted is None else given == wanted
    for given, wanted in zip(values.shape, axes.values(), strict=True)
  )
  if not fits:
    wanted = ", ".join(
      name if length is None else f"{name} = {length}" for name, length in axes.items()
    )
    raise ValueError(
      f"array {key!r} of study {result.name!r} ({result.kind}) must have shape [{wanted}], "
      f"got {list(values.shape)}"
    )
  return values


def _paths(directory: Path, name: str) -> tuple[Path, Path]:
  stem = files.slug(name)
  return directory / f"{stem}.npz", directory / f"{stem}.json"
