"""notMNIST: the letters A to J in many typefaces, from a file that the user has."""

import os
from pathlib import Path

import numpy as np

from robust_saliency.data.dataset import Dataset, Split
from robust_saliency.data.splitting import stratified
from robust_saliency.data.tfds_sets import data_directory

TEST_SHARE = 5  # one in so many images is a test image
SPLIT_SEED = 0  # part of what "notmnist" means: results on another split are not comparable


def notmnist(data_dir: str | os.PathLike[str] | None = None) -> Dataset:
  """Grey 28x28 images of letters.

  The file is a NumPy archive (`.npz`) with `x`, uint8 [N, 28, 28, 1]; `y`, the classes, integers
  [N]; and `names`, the letters. Of the usual 10,000 images four fifths are to train on and one
  fifth to test on: they have no official split, so a fixed stratified one is drawn. An archive with
  `x_test` and `y_test` too is taken as it is split, like the paper's 210,000 images of the large
  set and 10,000 of the small one. As in Ross & Doshi-Velez (AAAI 2018), float pixels are
  (x - 127.5) / 255, within [-0.5, 0.5], and images that occur several times are kept: some test
  images are training images too.

  Args:
    data_dir: the file, or a directory as `find_notmnist` searches it.

  Raises:
    FileNotFoundError: where there is no file.
    ValueError: where the file is damaged or holds something else.

  Source: Bulatov 2011, "notMNIST dataset".
  """
  path = find_notmnist(data_dir)
  given, official_test, names = _read(path)
  train, test = given, official_test
  if test is None:
    of_train, of_test = stratified(given.y, len(given) // TEST_SHARE, SPLIT_SEED)
    train, test = given.take(of_train), given.take(of_test)
  return Dataset(
    name="notmnist",
    train=train,
    validation=None,
    test=test,
    classes=names,
    scale=1 / 255,
    offset=-0.5,
    bounds=(-0.5, 0.5),
  )


def find_notmnist(data_dir: str | os.PathLike[str] | None = None) -> Path:
  """Where the archive is.

  Args:
    data_dir: the archive itself, or the directory in which it lies as `notmnist*.npz`, also in a
      folder `notmnist` of it; by default that of TFDS's sets. The environment's `NOTMNIST`, the
      path of the archive, goes before a directory.

  Raises:
    FileNotFoundError: where there is none, or several; the sentence says what to do.
  """
  if data_dir is not None and Path(data_dir).expanduser().is_file():
    return Path(data_dir).expanduser()
  if chosen := os.environ.get("NOTMNIST"):
    path = Path(chosen).expanduser()
    if not path.is_file():
      raise FileNotFoundError(f"NOTMNIST must be the path of a file, got {chosen}")
    return path
  folder = data_directory(data_dir)
  there = {*folder.glob("notmnist*.npz"), *folder.glob("notmnist/*.npz")}
  found = sorted(path for path in there if path.is_file())  # a pipe would hold up the reader
  if len(found) == 1:
    return found[0]
  if found:
    raise FileNotFoundError(
      f"notmnist is there {len(found)} times ({', '.join(map(str, found))}): set NOTMNIST to the "
      "path of one of them"
    )
  raise FileNotFoundError(
    f"notmnist is not in {folder}, and nothing downloads it: set NOTMNIST to the path of an .npz "
    "file with x (uint8 [N, 28, 28, 1]), y (the classes) and names (the letters)"
  )


def _read(path: Path) -> tuple[Split, Split | None, tuple[str, ...]]:
  """What the archive holds, its own test split if it has one, and the classes' names."""
  try:
    # An archive keeps a checksum of each array, so flipped bits are noticed.
    with np.load(path, allow_pickle=False) as archive:
      suffixes = ["", "_test"] if "x_test" in archive else [""]
      arrays = [(archive[f"x{suffix}"], archive[f"y{suffix}"]) for suffix in suffixes]
      names = tuple(map(str, archive["names"]))
  except Exception as error:  # whatever zipfile, zlib and NumPy say of bytes they cannot read
    reason = " ".join(str(error).split())
    if "pickle" in reason:  # NumPy says so of whatever it does not know, and how to load it anyway
      reason = "it is in no format of NumPy's, or holds pickled objects, which are never loaded"
    raise ValueError(
      f"notmnist in {path} cannot be read, the file is damaged or is no archive of x, y and names: "
      f"{reason}"
    ) from error
  splits = [
    _checked(x, y, suffix, len(names), path)
    for (x, y), suffix in zip(arrays, suffixes, strict=True)
  ]
  return splits[0], splits[1] if len(splits) > 1 else None, names


def _checked(x: np.ndarray, y: np.ndarray, suffix: str, classes: int, path: Path) -> Split:
  """Pixels and classes of the shapes and types that they should have."""
  if x.dtype != np.uint8 or x.ndim != 4 or x.shape[1:] != (28, 28, 1):
    raise ValueError(
      f"notmnist in {path}: x{suffix} must be uint8 [N, 28, 28, 1], got {x.dtype} {list(x.shape)}"
    )
  if not np.issubdtype(y.dtype, np.integer) or y.shape != (len(x),):
    raise ValueError(
      f"notmnist in {path}: y{suffix} must hold one integer for each of {len(x)} images, got "
      f"{y.dtype} {list(y.shape)}"
    )
  if len(y) < TEST_SHARE or y.min() < 0 or y.max() >= classes:
    raise ValueError(
      f"notmnist in {path}: y{suffix} must hold classes 0 to {classes - 1} of at least "
      f"{TEST_SHARE} images, got {len(y)} images"
      + (f" of classes {y.min()} to {y.max()}" if len(y) else "")
    )
  return Split(x, y.astype(np.int32))
