"""Data sets as arrays in memory.

  load            a set by its name
  names           the names that `load` knows
  Dataset         train, validation and test, and how stored pixels become images
  Split           images and their classes
  check           refuses a set whose arrays do not mean what its fields say
  hold_out        moves a part of the training images to the validation split
  rescaled        the same images between other bounds
  crop_and_flip   augments images, and their maps alike

Your own images are `load("npz", path="mine.npz")` or `load("folder", path="photos")`; `own` says
how they lie there.

`python -m robust_saliency.data` lists the sets and prepares one.

Papers count epsilons in pixels of their own, so a set's `bounds` are the paper's:

  Ross & Doshi-Velez   hold_out(load("mnist"), 5000), load("notmnist"), load("svhn")
  Kim, Seo & Jeon      hold_out(load("mnist", bounds=(-1, 1)), 5000), likewise "fashion_mnist";
                       load("cifar10", bounds=(-1, 1)); load("kim_toy")
  Noack et al.         load("mnist"), load("cifar10")

The papers themselves choose hyper-parameters or the best epoch by test accuracy (Ross & Doshi-Velez
for MNIST, Noack et al.); `hold_out` makes a validation split for that.
"""

from os import PathLike

from robust_saliency.core import checks
from robust_saliency.core.types import Bounds
from robust_saliency.data.augmentation import crop_and_flip
from robust_saliency.data.catalogue import CATALOGUE, register
from robust_saliency.data.dataset import Dataset, Split, check
from robust_saliency.data.own import OWN
from robust_saliency.data.scaling import rescaled
from robust_saliency.data.splitting import hold_out, in_mixed_order

__all__ = [
  "Dataset",
  "Split",
  "check",
  "crop_and_flip",
  "hold_out",
  "load",
  "names",
  "register",
  "rescaled",
]


def names() -> tuple[str, ...]:
  """The names that `load` knows, those first that come with the package."""
  return (*CATALOGUE, *OWN)


def load(
  name: str,
  *,
  path: str | PathLike[str] | None = None,
  data_dir: str | PathLike[str] | None = None,
  cache_dir: str | PathLike[str] | None = None,
  bounds: Bounds | None = None,
) -> Dataset:
  """Loads a data set and checks it.

  A split that is stored class by class is put into an order drawn once, always the same, since the
  first images are those that studies look at.

  Args:
    name: one of `names()`.
    path: of your own images, for "npz" and "folder", see `own`.
    data_dir: where TFDS keeps prepared sets; by default the environment's `TFDS_DATA_DIR`, then
      `~/tensorflow_datasets`. notMNIST is looked for there too, and under the environment's
      `NOTMNIST`. Sets that come with the package need none.
    cache_dir: where decoded arrays are kept; by default the environment's
      `ROBUST_SALIENCY_CACHE`, then `robust_saliency` in `XDG_CACHE_HOME` or `~/.cache`.
    bounds: (low, high) of the float pixels; None for the set's own, see `rescaled`.

  Raises:
    ValueError: for an unknown name (the nearest is suggested), for damaged data, and for bounds
      that are no interval.
    FileNotFoundError: where the set is not there; the sentence says what to do.

  >>> dataset = load("digits")
  >>> dataset.train.x.shape, dataset.train.x.dtype, dataset.bounds
  ((1297, 8, 8, 1), dtype('uint8'), (0.0, 1.0))
  >>> load("digits", bounds=(-1, 1)).bounds
  (-1.0, 1.0)
  """
  checks.one_of(name, names(), argument="name")
  if bounds is not None:
    checks.pixel_bounds(bounds)
  if (name in OWN) != (path is not None):
    given = f"got {str(path)!r}" if path is not None else "got none"
    raise ValueError(f"dataset {name!r} must have {'a' if name in OWN else 'no'} path; {given}")
  if path is not None:
    dataset = OWN[name](path, bounds)
  else:
    dataset = CATALOGUE[name].load(data_dir, cache_dir)
    if bounds is not None:
      dataset = rescaled(dataset, bounds)
  dataset = in_mixed_order(dataset)
  check(dataset)
  return dataset
