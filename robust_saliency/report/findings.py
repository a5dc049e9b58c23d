"""What an experiment has found: all that its report shows and that its claims rest on.

A report's folder keeps it under `data/`, so that whoever has the folder can judge the claims and
draw the page anew, without the networks and without the data set.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robust_saliency.core import checks, files, records
from robust_saliency.results.compact import compact
from robust_saliency.results.files import DESCRIPTION, described, from_description
from robust_saliency.results.result import Result
from robust_saliency.results.trends import trends_layout
from robust_saliency.studies.training import TRAINING

RUN = "data/run.json"
# The fields of `Findings` that are text; they stand in RUN beside what is told of the run.
_WORDS = ("title", "command", "summary", "scale", "dataset")
_TEXTS = records.Each(records.LIST, records.TEXT)
_RUN: dict[str, records.Form] = {
  **dict.fromkeys(_WORDS, records.TEXT),
  "diverged": _TEXTS,
  "studies": _TEXTS,
  "config": records.FIELDS,
}
# What is told of the run where it is known.
_TOLD: dict[str, records.Form] = {
  "data": records.TEXT,
  "imports": records.Each(records.LIST, _TEXTS),
  "wall_seconds": records.Each(records.FIELDS, records.NUMBER),
  "versions": records.Each(records.FIELDS, records.TEXT),
  "devices": _TEXTS,
  "precision": records.TEXT,
  "date": records.TEXT,
  "git": records.TEXT,
}
_FIELDS = {
  **DESCRIPTION,
  "arrays": records.Each(records.FIELDS, {"shape": records.LIST, "dtype": records.TEXT}),
}
# The kinds of NumPy that arrays are kept as others of, where a report is small.
_NUMBERS = "biuf"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Findings:
  """What an experiment has found.

  Attributes:
    title: the experiment's name.
    command: the command line that repeats it.
    summary: one paragraph for the top of the page.
    scale: how large this variant of the experiment is, in words.
    dataset: the data set's name: what the paper says of it comes first.
    results: the studies' outcomes.
    curves: what was logged in training, of `training_curves`.
    diverged: the networks whose training has diverged.
    run: `config` (nested dict), `data` (the digest of the data set), `versions` (package ->
      version), `devices` (names), `precision`, `wall_seconds` (stage -> seconds), `date`, `imports`
      and perhaps `git`.
    paths: result -> the file that it was read from, where it was.
  """

  title: str
  command: str
  summary: str
  scale: str = ""
  dataset: str = ""
  results: Sequence[Result]
  curves: Result
  diverged: tuple[str, ...] = ()
  run: Mapping[str, Any]
  paths: Mapping[str, Path] = dataclasses.field(default_factory=dict)

  def compacted(self) -> "Findings":
    """The same with the numbers that a small report keeps, in the types that they had."""

    def rounded(result: Result) -> Result:
      arrays = {
        name: array.astype(np.asarray(result.arrays[name]).dtype)
        for name, array in compact(result.arrays).items()
      }
      return dataclasses.replace(result, arrays=arrays)

    results = [rounded(result) for result in self.results]
    return dataclasses.replace(self, results=results, curves=rounded(self.curves))

  def run_file(self, stems: Sequence[str]) -> tuple[str, bytes]:
    """The path and content of the file that names the others: their stems, as in `results`."""
    words = {field: getattr(self, field) for field in _WORDS}
    about = {**words, "diverged": self.diverged, "studies": stems, **self.run}
    return RUN, files.json_text(about).encode()


def result_files(result: Result, stem: str, *, small: bool) -> dict[str, bytes]:
  """Path -> content of the files that keep a result in a report's folder.

  Args:
    result: what was measured.
    stem: of the files' names.
    small: whether its arrays are made compact.
  """
  arrays = {name: np.asarray(array) for name, array in result.arrays.items()}
  about = {
    **described(result),
    "arrays": {name: {"shape": a.shape, "dtype": a.dtype.str} for name, a in arrays.items()},
  }
  return {
    f"data/{stem}.npz": files.npz(compact(arrays) if small else arrays, small=small),
    f"data/{stem}.json": files.json_text(about).encode(),
  }


def read_findings(folder: Path) -> Findings:
  """What a report's folder keeps.

  Args:
    folder: of a report.

  Raises:
    FileNotFoundError: if there is no report, or one of an earlier version that does not keep it.
    ValueError: for a file that cannot be read, by name.
  """
  run = _read_json(folder / RUN)
  if "studies" not in run:
    raise FileNotFoundError(
      f"{folder} has a report of an earlier version, which does not keep all that it shows"
    )
  path = folder / RUN
  run = {name: value for name, value in run.items() if value is not None or name not in _TOLD}
  told = {name: form for name, form in _TOLD.items() if name in run}
  records.check_fields(run, {**_RUN, **told}, path)
  if any(len(one) != 2 for one in run.get("imports", [])):
    raise files.DamagedFileError(f"{path}: imports must be pairs of a name and a digest")
  words = {field: run.pop(field) for field in _WORDS}
  diverged, stems = tuple(run.pop("diverged")), run.pop("studies")
  paths = [_path(folder, stem) for stem in stems]
  results = [_read_result(one) for one in paths]
  if len({result.name for result in results}) < len(results):
    raise files.DamagedFileError(f"{path}: studies must be of different results")
  curves = _read_result(_path(folder, TRAINING))
  with records.understanding(f"{_path(folder, TRAINING)} must hold the curves of training"):
    checks.one_of(curves.name, [TRAINING], argument="name")
    trends_layout(curves.layout)
  of_all = {result.name: path for result, path in zip(results, paths, strict=True)}
  return Findings(**words, results=results, curves=curves, diverged=diverged, run=run, paths=of_all)


def _path(folder: Path, stem: str) -> Path:
  # A name from a file that somebody else may have written.
  return folder / "data" / f"{files.slug(stem)}.json"


def _read_result(path: Path) -> Result:
  about = records.check_fields(_read_json(path), _FIELDS, path)
  archive = path.with_suffix(".npz")
  kept = records.arrays_in(files.read_bytes(archive), archive)
  with records.understanding(f"{path} does not describe what {archive.name} holds"):
    arrays = {name: _as_said(kept[name], facts) for name, facts in about["arrays"].items()}
    return from_description(about, arrays)


def _as_said(array: np.ndarray, facts: Mapping[str, Any]) -> np.ndarray:
  """The array in the type that it had before it was made compact.

  Raises:
    ValueError: if it is none of this type and shape.
  """
  dtype = np.dtype(facts["dtype"])
  numbers = dtype.kind in _NUMBERS and array.dtype.kind in _NUMBERS
  if not (numbers or dtype == array.dtype) or list(array.shape) != facts["shape"]:
    raise ValueError(
      f"{array.dtype} of shape {list(array.shape)}, not {dtype} of shape {facts['shape']}"
    )
  return array.astype(dtype)


def _read_json(path: Path) -> dict[str, Any]:
  if not path.exists():
    raise FileNotFoundError(f"{path.parent.parent} has no report: {path} is missing")
  return records.parse(files.read_bytes(path), path)
