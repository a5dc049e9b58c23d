"""A network that is there already under another name is not trained twice."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from robust_saliency.core import folders
from robust_saliency.pipeline.stage import RECORD_NAME, Done, Stage, follows_from, identity_of
from robust_saliency.pipeline.stages import TrainingStage


def take_over(stage: TrainingStage, workdir: Path, done: Mapping[Stage, Done]) -> None:
  """Copies the network of a training whose weights follow from a choice, where it is there already.

  With the number that was chosen it is the chosen candidate itself, trained with the same seed.
  """
  settled, folder = stage.settled(done), workdir / stage.folder
  if settled is stage or folder.exists():
    return
  identity = identity_of(follows_from(stage, done))
  for other, one in done.items():
    if isinstance(other, TrainingStage) and one.record.identity == identity:
      # It gets its name as a whole: a kill leaves nothing that passes for a training of its own.
      aside = folder.with_name(f".{folder.name}")
      folders.remove_tree(aside)
      # Without the record: it gets one of its own, and no second was spent on it.
      without_record = shutil.ignore_patterns(f"{RECORD_NAME}*")
      shutil.copytree(workdir / other.folder, aside, ignore=without_record)
      aside.rename(folder)
      return
