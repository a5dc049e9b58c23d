"""Choices of networks, once the studies that make them are done."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from robust_saliency.core import checks, records
from robust_saliency.pipeline.stage import Done, Stage
from robust_saliency.results.files import ABOUT

if TYPE_CHECKING:
  from robust_saliency.pipeline.stages import StudyStage


def chosen(stage: "StudyStage", family: str, done: Mapping[Stage, Done]) -> str:
  """The network that bears a family's name; the first candidate where none could be chosen."""
  if stage in done:
    with records.understanding(f"{stage.folder / ABOUT} must say which network is {family!r}"):
      name = done[stage].result.metadata["chosen"][family]
      checks.one_of(name, stage.study.families[family], argument="chosen")  # type: ignore[attr-defined]
      return name
  return next(iter(stage.study.families[family]))  # type: ignore[attr-defined]


def chosen_number(stage: "StudyStage", family: str, done: Mapping[Stage, Done]) -> float:
  """The number of the network that bears a family's name."""
  return stage.study.families[family][chosen(stage, family, done)]  # type: ignore[attr-defined]
