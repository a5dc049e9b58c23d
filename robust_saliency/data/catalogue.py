"""The data sets by name: how each is loaded, where it is looked for, how it gets there."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from robust_saliency.core import registry
from robust_saliency.data import tfds_sets
from robust_saliency.data.dataset import Dataset
from robust_saliency.data.digits import digits
from robust_saliency.data.kim_toy import kim_toy
from robust_saliency.data.notmnist import find_notmnist, notmnist
from robust_saliency.data.svhn import TFDS_NAME as SVHN_CROPPED
from robust_saliency.data.svhn import svhn

# A directory of the user's choice, or None for the default one.
Directory = str | os.PathLike[str] | None


@dataclass(frozen=True)
class Source:
  """Where a data set comes from.

  Attributes:
    load: (data_dir, cache_dir) -> the set.
    find: data_dir -> where its files are, or FileNotFoundError; None for a set that comes with
      the package.
    prepare: data_dir -> where its files are once they have been downloaded and written; None
      where nothing does that.
  """

  load: Callable[[Directory, Directory], Dataset]
  find: Callable[[Directory], Path] | None = None
  prepare: Callable[[Directory], Path] | None = None


def _of_tfds(name: str, load: Callable[[Directory, Directory], Dataset]) -> Source:
  return Source(load, partial(tfds_sets.find, name), partial(tfds_sets.prepare, name))


CATALOGUE: dict[str, Source] = {
  "digits": Source(lambda data_dir, cache_dir: digits()),
  "kim_toy": Source(lambda data_dir, cache_dir: kim_toy()),
  **{name: _of_tfds(name, partial(tfds_sets.load_tfds, name)) for name in tfds_sets.TFDS_SETS},
  "svhn": _of_tfds(SVHN_CROPPED, svhn),
  "notmnist": Source(lambda data_dir, cache_dir: notmnist(data_dir), find_notmnist),
}


def register(name: str, load: Callable[[], Dataset]) -> None:
  """Lets configs name a data set of your own.

  Args:
    name: what configs call it.
    load: gives the set; called when it is asked for, and checked then.

  Raises:
    ValueError, TypeError: for a name that is taken, or is no text.
  """
  source = Source(lambda data_dir, cache_dir: load())
  registry.register(CATALOGUE, name, source, what="data set")
