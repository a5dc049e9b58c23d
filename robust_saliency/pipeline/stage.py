"""Stages: what an experiment computes and keeps, each recognised by what it follows from.

A stage's identity is one digest of its settings, its version and the contents of the stages that it
needs (networks, arrays, the data set), not of their recipes: a teacher that came out otherwise, or
other images under the same name, make another stage. What it leaves lies in a directory of its own,
in which it may resume where it was cut off; its record comes last.
"""

import abc
import dataclasses
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from absl import logging

from robust_saliency.core import files, records
from robust_saliency.pipeline.order import in_order
from robust_saliency.pipeline.provenance import provenance

# Raised when the files of a stage are laid out otherwise, so that older folders are refused.
FORMAT = 1
RECORD_NAME = "stage.json"
_TEXTS = records.Each(records.LIST, records.TEXT)
_FIELDS: dict[str, records.Form] = {
  "identity": records.TEXT,
  "content": records.TEXT,
  "follows_from": {
    "settings": records.ANYTHING,
    "version": records.COUNT,
    "needs": records.Each(records.FIELDS, _TEXTS),
  },
  "seconds": records.NUMBER,
  "provenance": {
    "versions": records.Each(records.FIELDS, records.TEXT),
    "devices": _TEXTS,
    "precision": records.TEXT,
    "date": records.TEXT,
  },
}


class Stage(abc.ABC):
  """Something that is computed once and kept.

  Attributes:
    name: unique in an experiment, as progress and errors print it ("training pgd, seed 0").
    folder: where it lies in the experiment's directory.
    version: raised by hand when its code changes its numbers.
    settings: all that it follows from besides what it needs, JSON-serialisable.
    needs: role -> the stages whose results it is handed.
  """

  version: ClassVar[int] = 1
  name: str
  folder: Path
  settings: Any
  needs: Mapping[str, tuple["Stage", ...]]

  def resolved(self, done: Mapping["Stage", "Done"]) -> Mapping[str, tuple["Stage", ...]]:
    """Of `needs` those stages that it really uses, known once the others are done."""
    del done
    return self.needs

  def settled(self, done: Mapping["Stage", "Done"]) -> "Stage":
    """What it is once the choices that its settings depend on have been made."""
    del done
    return self

  @abc.abstractmethod
  def run(self, needs: Mapping[str, tuple[Any, ...]], directory: Path, identity: str) -> None:
    """Computes the result, or what is left of it, and keeps it in the directory."""

  @abc.abstractmethod
  def read(self, directory: Path, identity: str) -> Any:
    """The result that was kept; None where it is missing, damaged or of another identity."""

  def is_whole(self, result: Any) -> bool:
    """Whether what a result keeps elsewhere on disk is there, undamaged."""
    del result
    return True

  @abc.abstractmethod
  def content(self, result: Any) -> str:
    """A digest of a result."""


@dataclasses.dataclass(frozen=True)
class Record:
  """What is kept about a finished stage.

  Attributes:
    identity: a digest of `follows_from`.
    content: a digest of the result.
    follows_from: settings, version, and role -> contents of what it needed.
    seconds: how long it took the process that finished it: not what earlier ones took that were
      cut off, nor the training of several networks as one program, of which each is read.
    provenance: versions, devices, precision and date of the run that finished it.
  """

  identity: str
  content: str
  follows_from: Mapping[str, Any]
  seconds: float
  provenance: Mapping[str, Any]

  @property
  def fingerprint(self) -> str:
    """A digest of the result and of all it follows from: weights stay on other test images."""
    return files.digest(f"{self.identity} {self.content}".encode())


@dataclasses.dataclass(frozen=True)
class Done:
  """A finished stage: its result, its record, and whether this run has computed it."""

  result: Any
  record: Record
  computed: bool


def stages_in_order(stages: Iterable[Stage]) -> list[Stage]:
  """The stages and all that they need, each after what it needs, otherwise as they are given.

  Raises:
    ValueError: for stages that need one another.
  """
  needs: dict[Stage, list[Stage]] = {}
  waiting = list(stages)
  while waiting:
    stage = waiting.pop(0)
    if stage not in needs:
      needs[stage] = [needed for of_role in stage.needs.values() for needed in of_role]
      waiting.extend(needs[stage])
  return in_order(needs, what="stages", name_of=lambda stage: stage.name)


def follows_from(stage: Stage, done: Mapping[Stage, Done]) -> dict[str, Any]:
  """What a stage's identity is a digest of."""
  stage = stage.settled(done)
  return {
    **own_origin(stage),
    "needs": {
      role: [done[needed].record.content for needed in of_role]
      for role, of_role in stage.resolved(done).items()
    },
  }


def own_origin(stage: Stage) -> dict[str, Any]:
  """What a stage follows from besides what it needs."""
  return {"settings": json.loads(files.json_text(stage.settings)), "version": stage.version}


def run_or_read(stage: Stage, workdir: Path, done: Mapping[Stage, Done]) -> Done:
  """The stage's result: read where it is there and of this identity, else computed and kept.

  Args:
    stage: what is wanted.
    workdir: the experiment's directory.
    done: all that the stage needs.
  """
  read = read_stage(stage, workdir, done)
  if read is not None:
    return read
  stage = stage.settled(done)
  origin = follows_from(stage, done)
  identity, directory = identity_of(origin), workdir / stage.folder
  needs = {
    role: tuple(done[needed].result for needed in of_role)
    for role, of_role in stage.resolved(done).items()
  }
  began = time.monotonic()
  record, result = read_record(directory), None
  if record is None or record.identity != identity:
    # It may be whole, and cut off before its record.
    result = stage.read(directory, identity)
  if result is None or not stage.is_whole(result):
    stage.run(needs, directory, identity)
    result = stage.read(directory, identity)
  if result is None:
    raise OSError(f"{stage.name}: what was written to {directory} cannot be read again")
  record = Record(identity, stage.content(result), origin, time.monotonic() - began, provenance())
  kept = {"format": FORMAT, **dataclasses.asdict(record)}
  files.write_with_digest(directory / RECORD_NAME, files.json_text(kept).encode())
  return Done(result, record, computed=True)


def read_stage(
  stage: Stage, workdir: Path, done: Mapping[Stage, Done], *, whole: bool = True
) -> Done | None:
  """The stage's result where it is there and of this identity, None otherwise.

  Args:
    stage: what is wanted.
    workdir: the experiment's directory.
    done: all that the stage needs.
    whole: whether it must be whole, for stages that need it; not for who reads what follows.
  """
  stage, directory = stage.settled(done), workdir / stage.folder
  record = read_record(directory)
  if record is None or record.identity != identity_of(follows_from(stage, done)):
    return None
  result = stage.read(directory, record.identity)
  sound = result is not None and stage.content(result) == record.content
  if not sound or (whole and not stage.is_whole(result)):
    logging.warning("%s is damaged, and is computed again", stage.name)
    return None
  return Done(result, record, computed=False)


def read_record(directory: Path) -> Record | None:
  """The record of a finished stage; None where there is none that can be trusted.

  Raises:
    ValueError: for a record of another format.
  """
  path = directory / RECORD_NAME
  if not path.exists():
    return None
  try:
    kept = records.read_record(path, {"format": records.ANYTHING})
    if kept["format"] == FORMAT:
      records.check_fields(kept, _FIELDS, path)
      return Record(**{name: kept[name] for name in _FIELDS})
  except files.DamagedFileError as error:
    logging.warning("Passing over a record: %s", error)
    return None
  raise ValueError(
    f"{directory} was left by another version of robust_saliency; choose another --workdir"
  )


def read_fingerprint(directory: Path) -> str:
  """A finished stage's `Record.fingerprint`; "" where there is no record that can be trusted.

  Args:
    directory: the stage's.

  Raises:
    ValueError: for a record of another format.
  """
  record = read_record(directory)
  return "" if record is None else record.fingerprint


def is_outdated(directory: Path, made_from: str) -> bool:
  """Whether a stage has been computed anew; never where it has no record, as in kept reports.

  Args:
    directory: the stage's.
    made_from: its fingerprint when something was made from it.

  Raises:
    ValueError: for a record of another format.
  """
  return (now := read_fingerprint(directory)) != "" and now != made_from


def identity_of(origin: Mapping[str, Any]) -> str:
  """The digest by which a stage is recognised."""
  return files.digest(json.dumps(origin).encode())
