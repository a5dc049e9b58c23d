"""Networks trained anew on images without some of their pixels, resumable.

On an accelerator many of one recipe are one program (`training.train_many`).
"""

import dataclasses
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import ndimage

from robust_saliency.core import checks, files, records
from robust_saliency.data import Dataset, Split
from robust_saliency.studies.batches import Evaluator, first_examples, predict
from robust_saliency.training import Network, Recipe, train_many, tries_one_program_by_default

FILLS = ("channel_mean", "blur")
BLUR = 2.0  # pixels
ACCURACY = "accuracy.json"
# Of images that networks of one program have each its own of, on the device at a time.
MOST_BYTES = 8 * 2**30
# What a recipe takes from an experiment, or from validation images, and a retraining has not.
NOT_OF_A_RETRAINING = ("teacher", "maps", "choices", "seeds", "early_stopping", "snapshots")


class Job(NamedTuple):
  """A retraining.

  Attributes:
    name: of its folder; one that is finished is not trained again.
    images: gives float images of the training images' shape, and of the scored ones'; not called
      where the training is finished.
    seed: fixes its parameters and the order of the images.
  """

  name: str
  images: Callable[[], tuple[np.ndarray, np.ndarray]]
  seed: int


class Retraining:
  """Trains a recipe on changed images and scores it on images changed alike.

  Args:
    recipe: a model's entry, see `training.Recipe`.
    dataset: what is changed: its training images, and those that are scored.
    scored: of which split, "test" or "validation".
    examples: how many training images, from the first; None for all.
    scored_examples: likewise of the split that is scored.
    directory: where a training that was cut off resumes, and what is finished is kept.
    batch_size: images per call where accuracy is measured.
    together: whether several are trained as one program; None for not on CPU, where it is slower.

  Attributes:
    train: the float training images that are changed, and their classes.
    scored: likewise.

  Raises:
    ValueError: for a recipe that is none, or a split that is not there.
  """

  def __init__(
    self,
    recipe: Mapping[str, Any],
    dataset: Dataset,
    directory: Path,
    *,
    scored: str = "test",
    examples: int | None = None,
    scored_examples: int | None = None,
    batch_size: int = 250,
    together: bool | None = None,
  ):
    checks.one_of(scored, dataset.splits, argument="scored")
    self.train, self.scored = (
      Split(dataset.to_float(one.x), one.y)
      for one in (
        _first(dataset.train, examples, "train_examples"),
        _first(dataset.splits[scored], scored_examples, "scored_examples"),
      )
    )
    as_floats = dataclasses.replace(
      dataset, train=self.train, validation=None, test=self.scored, scale=1.0, offset=0.0
    )
    with checks.naming("retraining"):
      read = Recipe.from_config(recipe)
      for field in NOT_OF_A_RETRAINING:
        if getattr(read, field) is not None:
          raise ValueError(f"{field} must be left out: a network trained again on images has none")
      self.network = Network("without pixels", read, as_floats)
    self._directory = directory
    self._predict = Evaluator(predict, batch_size=batch_size)
    self._together = tries_one_program_by_default() if together is None else together

  def accuracies(self, jobs: Sequence[Job]) -> list[float]:
    """The accuracies of networks that have been trained on one set of images each, on the other.

    Returns:
      One for each job, NaN where its training has diverged.
    """
    if self._together:
      waiting = [job for job in jobs if _read(self._directory / job.name / ACCURACY) is None]
      at_once = max(MOST_BYTES // self.train.x.nbytes, 1)
      for first in range(0, len(waiting), at_once):
        self._train_together(waiting[first : first + at_once])
    return [self._accuracy(job) for job in jobs]

  def _train_together(self, jobs: Sequence[Job]) -> None:
    """Leaves in each job's folder what it would have left trained alone."""
    network = self.network
    train_many(
      network.step_of_weights,
      [
        network.as_member(job.seed, job.name, images=job.images()[0].astype(np.float32, copy=False))
        for job in jobs
      ],
      {"y": self.train.y},
      steps=network.recipe.total_steps(len(self.train)),
      directory=self._directory,
      together=True,
      steps_per_call=network.recipe.steps_per_call,
      log_every=network.recipe.log_every,
      checkpoint_every=network.recipe.checkpoint_every,
    )

  def _accuracy(self, job: Job) -> float:
    folder = self._directory / job.name
    kept = _read(folder / ACCURACY)
    if kept is not None:
      return kept
    train, scored = (one.astype(np.float32, copy=False) for one in job.images())
    network = self.network.train(
      job.seed, folder, images=train, label=f"retraining {job.name}, seed {job.seed}"
    )
    found = np.nan
    if not network.diverged:
      predicted = self._predict(network, jax.random.key(0), scored, self.scored.y)
      found = float(np.mean(predicted == self.scored.y))
    content = files.json_text({"accuracy": None if np.isnan(found) else found})
    files.write_with_digest(folder / ACCURACY, content.encode())
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return found


def fill_of(x: np.ndarray, train: np.ndarray, fill: str | float) -> np.ndarray:
  """What stands where pixels are removed.

  Args:
    x: float images [N, H, W, C].
    train: the training images, whose mean is meant.
    fill: "channel_mean", the mean of each channel over the training images, as in the paper;
      "blur", the image itself under a Gaussian blur of two pixels; or a number.

  Returns:
    Float32, of a shape that broadcasts to x's.
  """
  if fill == "channel_mean":
    return train.mean(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
  if fill == "blur":
    return ndimage.gaussian_filter(x, (0, BLUR, BLUR, 0))
  return np.full(1, fill, np.float32)


def _first(split: Split, examples: int | None, field: str) -> Split:
  with checks.naming(field):
    return first_examples(split, examples)


def _read(path: Path) -> float | None:
  """The accuracy in a file; None where there is no whole one."""
  try:
    found = records.read_record(path, {"accuracy": records.MEASURED})["accuracy"]
  except (FileNotFoundError, files.DamagedFileError):
    return None
  return np.nan if found is None else float(found)
