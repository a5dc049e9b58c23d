"""Your own images: a NumPy archive, or a folder of image files."""

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from robust_saliency.core import checks
from robust_saliency.core.types import Bounds
from robust_saliency.data.dataset import Dataset, Split
from robust_saliency.data.scaling import rescaled
from robust_saliency.data.splitting import stratified

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
LABELS = "labels.csv"
# Pillow's modes of 8 bits a channel; alpha is 255 everywhere, and left out.
_GREY = ("1", "L", "LA")
_COLOUR = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
SPLITS = ("train", "validation", "test")
TEST_SHARE = 5  # where there is no test split, one in so many images becomes a test image
SPLIT_SEED = 0

# A split's name -> its images' files and classes.
Files = dict[str, list[tuple[Path, str]]]


def load_npz(path: str | os.PathLike[str], bounds: Bounds | None = None) -> Dataset:
  """Images from a NumPy archive (`np.savez("mine.npz", x_train=..., y_train=..., ...)`).

  The archive has `x_train` [N, H, W, C] or [N, H, W], uint8 or floating-point, and `y_train`, the
  classes from 0 on, integers [N]; perhaps the same with `_test` and `_validation`, and `classes`,
  their names, and `bounds`. Without test images a fifth of those of each class become so, always
  the same. Nothing in it may be pickled.

  Args:
    path: the file.
    bounds: (low, high) of the float pixels, where it is None the file's, (0, 1) where that has
      none: bytes are mapped onto them, and floats from those of the file; where it has none, floats
      must lie within them.

  Raises:
    FileNotFoundError: where there is no file.
    ValueError: where the file is damaged, or its arrays do not fit, or are of another split.
  """
  path = Path(path).expanduser()
  if not path.is_file():
    raise FileNotFoundError(f"dataset.path names no file: {path}")
  try:
    with np.load(path, allow_pickle=False) as archive:
      arrays = {name: archive[name] for name in archive.files}
  except Exception as error:  # whatever zipfile, zlib and NumPy say of bytes they cannot read
    raise ValueError(
      f"{path} must be a NumPy archive without pickled objects, and cannot be read"
    ) from error
  of_splits = [f"{letter}_{name}" for name in SPLITS for letter in "xy"]
  for name in arrays:
    if name[:2].lower() in ("x_", "y_"):  # others may be whatever their owner keeps there
      checks.one_of(name, of_splits, argument=f"array of {path}")
  splits = {}
  for name in SPLITS:
    if f"x_{name}" in arrays or f"y_{name}" in arrays:
      splits[name] = _split_of(path, arrays, name)
  if "train" not in splits:
    raise ValueError(f"{path} must have x_train and y_train, got {', '.join(arrays) or 'nothing'}")
  largest = max(int(split.y.max(initial=0)) for split in splits.values())
  classes = tuple(map(str, arrays.get("classes", range(largest + 1))))
  if "bounds" not in arrays:
    return _dataset(path, splits, classes, bounds)
  dataset = _dataset(path, splits, classes, _bounds_of(path, arrays["bounds"]))
  return dataset if bounds is None else rescaled(dataset, bounds)


def load_folder(path: str | os.PathLike[str], bounds: Bounds | None = None) -> Dataset:
  """Images from a folder: one folder for each class, or a table of labels.

  `PATH/CLASS/*.png` are the images of a class, likewise JPEG and other formats; with
  `PATH/train/CLASS/*.png`, and `test`, perhaps `validation`, beside it they are split so. Or
  `PATH/labels.csv` has the columns `file` (relative to PATH) and `label`, perhaps `split`. Classes
  are numbered in the order of their names. Without test images a fifth of those of each class
  become so, always the same. Where all images are grey they have one channel, else three; all must
  be of one size.

  Args:
    path: the folder.
    bounds: (low, high) of the float pixels, (0, 1) where it is None.

  Raises:
    FileNotFoundError: where there is no folder, or a file of the table is missing.
    ValueError: for files that are no images, images of several sizes, a split without images, or
      a folder beside `train` that is no split.
  """
  path = Path(path).expanduser()
  if not path.is_dir():
    raise FileNotFoundError(f"dataset.path names no folder: {path}")
  found = _by_table(path) if (path / LABELS).is_file() else _by_folders(path)
  if not found.get("train"):
    raise ValueError(
      f"{path} must have a folder of images for each class, or {LABELS}; no training image found"
    )
  for name, of_split in found.items():
    if not of_split:
      raise ValueError(f"{path / name} must have a folder of images for each class; none found")
  classes = tuple(sorted({label for of_split in found.values() for _, label in of_split}))
  opened = [_open(file) for of_split in found.values() for file, _ in of_split]
  grey = all(image.mode in _GREY for image in opened)
  pixels = iter(_pixels(opened, grey))
  splits = {
    name: Split(
      np.stack([next(pixels) for _ in of_split]),
      np.array([classes.index(label) for _, label in of_split], np.int32),
    )
    for name, of_split in found.items()
  }
  return _dataset(path, splits, classes, bounds)


OWN: dict[str, Callable[[str | os.PathLike[str], Bounds | None], Dataset]] = {
  "npz": load_npz,
  "folder": load_folder,
}


def _dataset(
  path: Path, splits: dict[str, Split], classes: tuple[str, ...], bounds: Bounds | None
) -> Dataset:
  train, test = splits["train"], splits.get("test")
  if test is None:
    if len(train) < TEST_SHARE:
      raise ValueError(f"{path} must have at least {TEST_SHARE} images, got {len(train)}")
    of_train, of_test = stratified(train.y, len(train) // TEST_SHARE, SPLIT_SEED)
    train, test = train.take(of_train), train.take(of_test)
  low, high = bounds or (0.0, 1.0)
  stored = {split.x.dtype for split in splits.values()}
  if len(stored) > 1:
    raise ValueError(f"{path} must have images of one dtype, got {', '.join(map(str, stored))}")
  is_bytes = stored == {np.dtype(np.uint8)}
  return Dataset(
    name=path.stem,
    train=train,
    validation=splits.get("validation"),
    test=test,
    classes=classes,
    scale=(high - low) / 255 if is_bytes else 1.0,
    offset=low if is_bytes else 0.0,
    bounds=(float(low), float(high)),
  )


def _bounds_of(path: Path, given: np.ndarray) -> Bounds:
  with checks.naming(str(path)):
    checks.pixel_bounds(given.tolist())
  low, high = given.tolist()
  return low, high


def _split_of(path: Path, arrays: dict[str, np.ndarray], name: str) -> Split:
  x, y = arrays.get(f"x_{name}"), arrays.get(f"y_{name}")
  if x is None or y is None:
    raise ValueError(f"{path} must have both x_{name} and y_{name}")
  x = x[..., None] if x.ndim == 3 else x
  if x.ndim != 4 or not len(x) or (x.dtype != np.uint8 and x.dtype.kind != "f"):
    raise ValueError(
      f"{path}: x_{name} must be images [N, H, W, C], uint8 or floating-point, got {x.dtype} "
      f"{list(x.shape)}"
    )
  if y.shape == (len(x), 1):
    y = y[:, 0]
  if y.dtype.kind not in "iu" or y.shape != (len(x),):
    raise ValueError(
      f"{path}: y_{name} must have one whole number for each of {len(x)} images, got {y.dtype} "
      f"{list(y.shape)}"
    )
  if int(y.max()) > np.iinfo(np.int32).max or int(y.min()) < 0:
    raise ValueError(f"{path}: y_{name} must be classes from 0 on, got {y.min()} to {y.max()}")
  return Split(x if x.dtype == np.uint8 else x.astype(np.float32), y.astype(np.int32))


def _by_folders(path: Path) -> Files:
  folders = {one.name: one for one in sorted(path.iterdir()) if one.is_dir()}
  split_folders = {name: folders[name] for name in SPLITS if name in folders}
  if "train" in split_folders:
    for name in folders:
      if not name.startswith("."):
        checks.one_of(name, SPLITS, argument=f"folder in {path}, beside 'train',")
    return {name: _of_classes(folder) for name, folder in split_folders.items()}
  return {"train": _of_classes(path)}


def _of_classes(folder: Path) -> list[tuple[Path, str]]:
  return [
    (file, of_class.name)
    for of_class in sorted(folder.iterdir())
    if of_class.is_dir() and not of_class.name.startswith(".")
    for file in sorted(of_class.iterdir())
    if file.suffix.lower() in ENDINGS
  ]


def _by_table(path: Path) -> Files:
  found: Files = {}
  with (path / LABELS).open(newline="", encoding="utf-8-sig") as file:
    rows = csv.DictReader(file)
    missing = {"file", "label"} - set(rows.fieldnames or ())
    if missing:
      raise ValueError(f"{path / LABELS} must have the columns file and label")
    for line, row in enumerate(rows, start=2):
      split = row.get("split") or "train"
      checks.one_of(split, SPLITS, argument=f"split in line {line} of {path / LABELS}")
      image = path / (row["file"] or "")
      if not image.is_file():
        raise FileNotFoundError(f"{path / LABELS}, line {line}: there is no file {row['file']!r}")
      if not row["label"]:
        raise ValueError(f"{path / LABELS}, line {line}: {row['file']!r} has no label")
      found.setdefault(split, []).append((image, row["label"]))
  return found


def _open(file: Path) -> Image.Image:
  try:
    with Image.open(file) as opened:
      too_fine = _has_16_bits(opened)
      opened.load()
      image = opened.copy()
  except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
    raise ValueError(f"{file} cannot be read as an image: {error}") from None
  if image.mode not in (*_GREY, *_COLOUR) or too_fine:
    got = "16" if too_fine else f"Pillow's mode {image.mode!r}"
    raise ValueError(
      f"{file} must have 8 bits a channel, got {got}; an .npz file takes other numbers"
    )
  if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
    raise ValueError(f"{file} must be opaque, got transparent pixels")
  return image


def _has_16_bits(opened: ImageFile.ImageFile) -> bool:
  """Whether a file has them, before Pillow halves its colours and calls their mode 8 bits'."""
  for codec, _, _, arguments in opened.tile:
    words = arguments if isinstance(arguments, tuple) else (arguments,)
    if any(isinstance(word, str) and ";16" in word for word in words):
      return True
    if codec.startswith("ppm") and int(words[-1]) > 255:
      return True
  return False


def _pixels(images: Sequence[Image.Image], grey: bool) -> list[np.ndarray]:
  sizes = dict.fromkeys(image.size for image in images)
  if len(sizes) > 1:
    shown = ", ".join(f"{width}x{height}" for width, height in list(sizes)[:3])
    raise ValueError(f"all images must have one size, got {len(sizes)}: {shown}")
  arrays = [np.asarray(image.convert("L" if grey else "RGB")) for image in images]
  return [array[..., None] if grey else array for array in arrays]
