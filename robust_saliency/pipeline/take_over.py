"""A network that is there already under another name is not trained twice."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from robust_saliency.pipeline.stage import RECORD_NAME, Done, Stage, follows_from, identity_of
from robust_saliency.pipeline.stages import TrainingStage


def take_over(stage: TrainingStage, workdir: Path, done: Mapping[Stage, Done]) -> None:
  """Copies the network of a training whose weights follow from a choice, where it is there already.

  With the number that was chosen it is the chosen candidate itself, trained with the same seed.
  """
  settled = stage.settled(done)
  if settled is stage or (workdir / stage.folder).exists():
    return
  identity = identity_of(follows_from(stage, done))
  for other, one in done.items():
    if isinstance(other, TrainingStage) and one.record.identity == identity:
      shutil.copytree(workdir / other.folder, workdir / stage.folder)
      # It has a record of its own: no second was spent on it.
      for record in (workdir / stage.folder).glob(f"{RECORD_NAME}*"):
        record.unlink()
      return
