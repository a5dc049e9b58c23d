"""Image sets prepared by TensorFlow Datasets, read without TensorFlow.

TFDS writes a set once, as array_record files; these are read with nothing but NumPy and Pillow.
Decoding takes seconds, so the arrays are kept in a cache, under the digest of the files that they
were decoded from. A set that is not there is never downloaded behind the user's back.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from absl import logging

from robust_saliency.core import files
from robust_saliency.data import cache
from robust_saliency.data.dataset import Dataset, Split

# The names of their classes, which TFDS keeps in a file without a checksum.
_DIGITS = tuple("0123456789")
_CLASSES = {
  "mnist": _DIGITS,
  "fashion_mnist": (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
  ),
  "cifar10": (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
  ),
  "svhn_cropped": _DIGITS,
}
TFDS_SETS = tuple(_CLASSES)

BLOCK = 1000  # records per read: three times as fast as one by one
ARRAYS = ("train_x", "train_y", "test_x", "test_y", "classes")
ARRAYS_VERSION = b"1"  # to be raised where the arrays of the same files change


def load_tfds(
  name: str,
  data_dir: str | os.PathLike[str] | None = None,
  cache_dir: str | os.PathLike[str] | None = None,
) -> Dataset:
  """A prepared set of images with labels, as bytes; its float pixels are bytes / 255.

  The examples stand in the order of TFDS's records.

  Args:
    name: TFDS's name of the set, such as "mnist".
    data_dir: where TFDS keeps prepared sets, see `data_directory`.
    cache_dir: where decoded arrays are kept, see `cache.cache_directory`.

  Raises:
    FileNotFoundError: where the set is not prepared; the sentence says what to run.
    ValueError: where its files are damaged.
  """
  folder = find(name, data_dir)
  entry = cache.cache_directory(cache_dir) / f"{name}-{folder.name}-{digest(folder)[:16]}"
  arrays = cache.read(entry, ARRAYS)
  if arrays is None:
    logging.info("Decoding %s once; the arrays are kept in %s", name, entry)
    arrays = decode(name, folder, ("train", "test"))
    cache.write(entry, arrays)
  return Dataset(
    name=name,
    train=Split(arrays["train_x"], arrays["train_y"]),
    validation=None,
    test=Split(arrays["test_x"], arrays["test_y"]),
    classes=tuple(map(str, arrays["classes"])),
    scale=1 / 255,
  )


def data_directory(data_dir: str | os.PathLike[str] | None = None) -> Path:
  """The argument, else `TFDS_DATA_DIR`, else `~/tensorflow_datasets`."""
  return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def find(name: str, data_dir: str | os.PathLike[str] | None = None) -> Path:
  """The folder of a set's newest version that is prepared as array_record.

  Raises:
    FileNotFoundError: where there is none; the sentence says what to run.
  """
  if folders := _versions(name, data_dir, "array_record"):
    return folders[0]
  command = f"python -m robust_saliency.data prepare {name}"
  if data_dir is not None:
    command += f" --data_dir={data_dir}"
  if folders := _versions(name, data_dir, "tfrecord"):
    raise FileNotFoundError(
      f"{name} in {folders[0]} is prepared as TFRECORD, which only TensorFlow reads: delete that "
      f"folder or choose another data directory, then run: {command}"
    )
  raise FileNotFoundError(
    f"{name} is not prepared in {data_directory(data_dir)}: set TFDS_DATA_DIR to the directory "
    f"that has it, or run: pip install tensorflow importlib_resources && {command}"
  )


def prepare(name: str, data_dir: str | os.PathLike[str] | None = None) -> Path:
  """Downloads a set and writes it as array_record, by TFDS and its TensorFlow.

  Returns:
    The folder of the prepared set; at once where it is prepared already.

  Raises:
    FileNotFoundError: where it is prepared as TFRECORD, which would be in the way.
    ModuleNotFoundError: where the packages of the extra `prepare` are missing.
    OSError: where it cannot be downloaded.
  """
  if any(_versions(name, data_dir, form) for form in ("array_record", "tfrecord")):
    return find(name, data_dir)
  for module in ("tensorflow", "importlib_resources"):
    if importlib.util.find_spec(module) is None:
      raise ModuleNotFoundError(
        f"preparing {name} needs the package {module}, once; "
        "run: pip install tensorflow importlib_resources"
      )
  import tensorflow_datasets as tfds

  builder = tfds.builder(name, data_dir=data_directory(data_dir), file_format="array_record")
  builder.download_and_prepare()
  return find(name, data_dir)


def _versions(name: str, data_dir: str | os.PathLike[str] | None, form: str) -> list[Path]:
  """The folders of a set that hold records of this form, the newest version first."""
  folders = [
    folder
    for folder in (data_directory(data_dir) / name).glob("*.*.*")
    if re.fullmatch(r"\d+\.\d+\.\d+", folder.name) and any(folder.glob(f"*.{form}*"))
  ]
  return sorted(folders, key=lambda folder: [*map(int, folder.name.split("."))], reverse=True)


def digest(folder: Path) -> str:
  """SHA-256 over the names and contents of a folder's files.

  Raises:
    ValueError: for what is no file, or too large for what TFDS describes a set with.
  """
  _refuse_what_is_no_file(folder)
  total = hashlib.sha256(ARRAYS_VERSION)
  for path in sorted(path for path in folder.iterdir() if path.is_file()):
    with path.open("rb") as file:
      content = hashlib.file_digest(file, "sha256").hexdigest()
    total.update(f"{content}  {path.name}\n".encode())
  return total.hexdigest()


def decode(name: str, folder: Path, splits: Sequence[str]) -> dict[str, np.ndarray]:
  """The arrays of a prepared set, in the order of its records.

  Args:
    name: what error messages call the set.
    folder: its prepared version, see `find`.
    splits: which of TFDS's splits.

  Returns:
    "classes", the labels' names; and for each split "<split>_x", uint8 [N, H, W, C], and
    "<split>_y", int32 [N].

  Raises:
    ValueError: where the files are damaged or incomplete.
  """
  _refuse_what_is_no_file(folder)
  _refuse_foreign_classes(name, folder)
  with _quiet():
    import tensorflow_datasets as tfds

    # The folder itself is opened, and not the set by its name, so nothing can start a download.
    try:
      builder = tfds.builder_from_directory(folder, file_format="array_record")
      arrays = {"classes": np.array(builder.info.features["label"].names)}
      for split in splits:
        source = builder.as_data_source(split=split)
        x = np.empty((len(source), *builder.info.features["image"].shape), np.uint8)
        y = np.empty(len(source), np.int32)
        for start in range(0, len(source), BLOCK):
          block = range(start, min(start + BLOCK, len(source)))
          records = source.__getitems__(block)
          x[block.start : block.stop] = [record["image"] for record in records]
          y[block.start : block.stop] = [record["label"] for record in records]
        arrays |= {f"{split}_x": x, f"{split}_y": y}
    except Exception as error:  # whatever TFDS, Riegeli and Pillow say of bytes they cannot read
      raise ValueError(
        f"{name} in {folder} cannot be decoded, its files are damaged or incomplete: delete that "
        f"folder and prepare it again ({' '.join(str(error).split())})"
      ) from error
  classes = tuple(map(str, arrays["classes"]))
  if classes != _CLASSES.get(name, classes):
    raise ValueError(
      f"{name} in {folder} is damaged, its classes are called {', '.join(classes)} instead of "
      f"{', '.join(_CLASSES[name])}: delete that folder and prepare it again"
    )
  return arrays


def _refuse_what_is_no_file(folder: Path) -> None:
  """Refuses a folder with a pipe or a device, which would hold up whoever reads it, or huge JSON.

  Links to files are as good as files.

  Raises:
    ValueError: naming it.
  """
  for path in folder.iterdir():
    if path.exists() and not (path.is_file() or path.is_dir()):
      raise ValueError(f"{path} must be a file, got a pipe, a socket or a device")
    if path.suffix == ".json" and path.is_file() and path.stat().st_size > files.LARGEST_TEXT:
      raise ValueError(f"{path} must have at most {files.LARGEST_TEXT} bytes, as a description has")


def _refuse_foreign_classes(name: str, folder: Path) -> None:
  """Refuses a folder whose features.json names classes that are not TFDS's: it would import them.

  Raises:
    ValueError: naming the class, or for a file that cannot be read.
  """
  path = folder / "features.json"
  try:
    classes = list(_classes_named(path.read_text(encoding="utf-8"))) if path.is_file() else []
  except (OSError, ValueError, RecursionError):
    raise ValueError(f"{name} in {folder} is damaged, its features.json cannot be read") from None
  for named in classes:
    if not named.startswith("tensorflow_datasets."):
      raise ValueError(
        f"{name} in {folder} is refused, its features.json names the class {named!r}, which is "
        "not one of tensorflow_datasets"
      )


def _classes_named(text: str) -> Iterator[str]:
  """The names of classes in JSON that describes features, in its older form, too."""
  waiting = [json.loads(text)]
  while waiting:
    part = waiting.pop()
    if isinstance(part, list):
      waiting.extend(part)
    if isinstance(part, dict):
      waiting.extend(part.values())
      for key in ("pythonClassName", "python_class_name", "type"):
        if isinstance(part.get(key), str):
          yield part[key]
      # Features that are no protocol buffers bring JSON of their own, as text.
      if isinstance(part.get("json"), str):
        waiting.append(json.loads(part["json"]))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Hides TFDS's advice to install other decoders."""
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  try:
    yield
  finally:
    logging.set_verbosity(verbosity)
