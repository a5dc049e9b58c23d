"""Data sets as arrays in memory.

  load      a set by its name
  names     the names that `load` knows
  Dataset   train, validation and test, and how stored pixels become images
  Split     images and their classes
  check     refuses a set whose arrays do not mean what its fields say
  hold_out  moves a part of the training images to the validation split

`python -m robust_saliency.data` lists the sets and prepares one.
"""

from collections.abc import Callable
from os import PathLike

from robust_saliency.core import checks
from robust_saliency.data.dataset import Dataset, Split, check
from robust_saliency.data.digits import digits
from robust_saliency.data.splitting import hold_out
from robust_saliency.data.tfds_sets import TFDS_SETS, load_tfds

__all__ = ["Dataset", "Split", "check", "hold_out", "load", "names"]

_EMBEDDED: dict[str, Callable[[], Dataset]] = {"digits": digits}


def names() -> tuple[str, ...]:
  """The names that `load` knows, the embedded ones first."""
  return (*_EMBEDDED, *TFDS_SETS)


def load(
  name: str,
  *,
  data_dir: str | PathLike[str] | None = None,
  cache_dir: str | PathLike[str] | None = None,
) -> Dataset:
  """Loads a data set and checks it.

  Args:
    name: one of `names()`.
    data_dir: where TFDS keeps prepared sets; by default the environment's `TFDS_DATA_DIR`, then
      `~/tensorflow_datasets`. Embedded sets need none.
    cache_dir: where decoded arrays are kept; by default the environment's
      `ROBUST_SALIENCY_CACHE`, then `robust_saliency` in `XDG_CACHE_HOME` or `~/.cache`.

  Raises:
    ValueError: for an unknown name (the nearest is suggested) and for damaged data.
    FileNotFoundError: where the set is not prepared; the sentence says what to run.

  >>> dataset = load("digits")
  >>> dataset.train.x.shape, dataset.train.x.dtype, dataset.bounds
  ((1297, 8, 8, 1), dtype('uint8'), (0.0, 1.0))
  """
  checks.one_of(name, names(), argument="name")
  dataset = _EMBEDDED[name]() if name in _EMBEDDED else load_tfds(name, data_dir, cache_dir)
  check(dataset)
  return dataset
