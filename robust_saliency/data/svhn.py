"""SVHN as Ross & Doshi-Velez prepare it: grey, and of equal mean and contrast in every image."""

import os
from collections.abc import Mapping

import numpy as np
from absl import logging

from robust_saliency.core import checks
from robust_saliency.data import cache
from robust_saliency.data.dataset import Dataset, Split
from robust_saliency.data.tfds_sets import decode, digest, find

TFDS_NAME = "svhn_cropped"
LUMA = (0.2989, 0.5870, 0.1140)  # of red, green and blue
SPLITS = ("train", "validation", "test")
SPLIT_SEED = 0  # part of what "svhn" means: results on another split are not comparable
ARRAYS_VERSION = 1  # to be raised where the arrays of the same files change
CHUNK = 2_000  # images that are converted at once


def svhn(
  data_dir: str | os.PathLike[str] | None = None,
  cache_dir: str | os.PathLike[str] | None = None,
  *,
  train_per_class: int = 400,
  extra_per_class: int = 200,
  training_examples: int = 200_000,
) -> Dataset:
  """House numbers as grey float32 images [32, 32, 1] of mean 0 and deviation 1.

  Grey is 0.2989 R + 0.5870 G + 0.1140 B, then `global_contrast_normalization`. Epsilons count in
  these units; `bounds` are the smallest and the largest pixel of all splits (the authors clip to
  those of the split at hand). Local contrast normalisation is part of the network: `RossCNN` with
  `contrast_mean`.

  The splits are the paper's, 200,000 + 6,000 + 26,032 images: `validation` has the first 400 of
  each class of SVHN's train part and the first 200 of its extra part; `train` has 200,000 of the
  others, those of the extra part (shuffled) first, so that none is of the train part. TFDS keeps
  neither the order of the original files nor do the authors name a seed, so the single images
  differ from theirs. Decoding takes 2 GB of memory and minutes the first time; the arrays take
  1 GB.

  Args:
    data_dir: where TFDS keeps the prepared `svhn_cropped`.
    cache_dir: where converted arrays are kept.
    train_per_class: images of each class of the train part that validate.
    extra_per_class: images of each class of the extra part that validate.
    training_examples: how many images to train on at most.

  Raises:
    FileNotFoundError: where the set is not prepared; the sentence says what to run.
    ValueError: where its files are damaged, or where no image to train on would remain.

  Source: Ross & Doshi-Velez, AAAI 2018, Experiments, and the authors' code; the split after
  Sermanet, Chintala & LeCun 2012, "Convolutional neural networks applied to house numbers".
  """
  sizes = {
    "train_per_class": train_per_class,
    "extra_per_class": extra_per_class,
    "training_examples": training_examples,
  }
  checks.count(**sizes)
  folder = find(TFDS_NAME, data_dir)
  version = "-".join(map(str, (ARRAYS_VERSION, *sizes.values())))
  entry = cache.cache_directory(cache_dir) / f"svhn-{folder.name}-{digest(folder)[:16]}-{version}"
  names = [f"{split}_{array}" for split in SPLITS for array in "xy"]
  arrays = cache.read(entry, names)
  if arrays is None:
    logging.info("Decoding %s once; the arrays are kept in %s", TFDS_NAME, entry)
    arrays = _convert(decode(TFDS_NAME, folder, ("train", "extra", "test")), **sizes)
    cache.write(entry, arrays)
  splits = {split: Split(arrays[f"{split}_x"], arrays[f"{split}_y"]) for split in SPLITS}
  return Dataset(
    name="svhn",
    train=splits["train"],
    validation=splits["validation"],
    test=splits["test"],
    classes=tuple("0123456789"),
    bounds=(
      float(min(split.x.min() for split in splits.values())),
      float(max(split.x.max() for split in splits.values())),
    ),
  )


def global_contrast_normalization(x: np.ndarray) -> np.ndarray:
  """Takes each image's mean from it and divides by its standard deviation.

  Args:
    x: images [N, H, W, C], of any numeric type.

  Returns:
    float32 [N, H, W, C]. The deviation is the unbiased one (N - 1); a flat image, of a deviation
    below 1e-4, is only centred.

  Source: the code of Ross & Doshi-Velez, AAAI 2018.

  >>> global_contrast_normalization(np.array([1, 2, 3]).reshape(1, 1, 3, 1)).ravel().tolist()
  [-1.0, 0.0, 1.0]
  """
  axes = (1, 2, 3)
  x = x.astype(np.float64)
  x -= x.mean(axes, keepdims=True)
  deviation = x.std(axes, ddof=1, keepdims=True)
  return (x / np.where(deviation < 1e-4, 1, deviation)).astype(np.float32)


def ross_split(
  train_y: np.ndarray,
  extra_y: np.ndarray,
  *,
  train_per_class: int,
  extra_per_class: int,
  training_examples: int,
) -> tuple[np.ndarray, np.ndarray]:
  """Positions in the extra part followed by the train part, for training and for validation.

  Args:
    train_y: classes of the train part, int [M].
    extra_y: classes of the extra part, int [N].
    train_per_class: see `svhn`, like the rest.
    extra_per_class: see `svhn`.
    training_examples: see `svhn`.

  Returns:
    (training, validation): positions, int, with 0 to N - 1 in the extra part and N to N + M - 1 in
    the train part.
  """
  random = np.random.RandomState(SPLIT_SEED)
  training, validation = [], []
  for first, y, per_class in (
    (0, extra_y, extra_per_class),
    (len(extra_y), train_y, train_per_class),
  ):
    chosen = np.zeros(len(y), bool)
    for label in np.unique(y):
      chosen[np.flatnonzero(y == label)[:per_class]] = True
    validation.append(first + np.flatnonzero(chosen))
    training.append(first + random.permutation(np.flatnonzero(~chosen)))
  return np.concatenate(training)[:training_examples], np.concatenate(validation)


def _convert(decoded: Mapping[str, np.ndarray], **sizes: int) -> dict[str, np.ndarray]:
  """Colour bytes of the parts -> grey arrays of the splits."""
  extra_x, train_x = decoded["extra_x"], decoded["train_x"]
  training, validation = ross_split(decoded["train_y"], decoded["extra_y"], **sizes)
  if not len(training):
    raise ValueError(
      f"svhn has {len(validation)} images outside its test part, and with "
      f"train_per_class={sizes['train_per_class']} and extra_per_class={sizes['extra_per_class']} "
      "all of them validate; ask for fewer"
    )
  y = np.concatenate([decoded["extra_y"], decoded["train_y"]])
  converted = {"test_x": _gray(decoded["test_x"]), "test_y": decoded["test_y"]}
  for split, positions in (("train", training), ("validation", validation)):
    x = np.empty((len(positions), *extra_x.shape[1:3], 1), np.float32)
    in_extra = positions < len(extra_x)
    x[in_extra] = _gray(extra_x, positions[in_extra])
    x[~in_extra] = _gray(train_x, positions[~in_extra] - len(extra_x))
    converted |= {f"{split}_x": x, f"{split}_y": y[positions]}
  return converted


def _gray(x: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
  """Normalised grey images of the colour images at these positions, a chunk at a time."""
  positions = np.arange(len(x)) if positions is None else positions
  chunks = [positions[i : i + CHUNK] for i in range(0, len(positions), CHUNK)]
  empty = np.empty((0, *x.shape[1:3], 1), np.float32)
  return np.concatenate(
    [
      empty,
      *(global_contrast_normalization(x[chunk] @ np.array(LUMA)[:, None]) for chunk in chunks),
    ]
  )
